"""Email (eml, mht): the fields a person reads, the body, and every attachment through the readers."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.header import decode_header
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import PurePosixPath

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers import read_bytes, scans
from knowhow.ingest.readers.decode import decode
from knowhow.ingest.readers.draft import Draft, squeeze
from knowhow.ingest.readers.html import add_html, parse_html
from knowhow.types import Extract

FIELDS = ("Subject", "From", "To", "Cc", "Date")
_MAX_PARTS = 500
_SUFFIXES = {
    "text/html": ".html", "text/plain": ".txt", "text/csv": ".csv", "message/rfc822": ".eml", "application/pdf": ".pdf",
    "text/calendar": ".ics", "application/json": ".json",
}  # fmt: skip


def read(name: str, data: bytes, depth: int) -> Extract:
    """Fields, body and attachments; an attachment that cannot be read is named in the warnings."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in data[:64]:
        data = decode(data).text.encode("utf-8", "replace")
    message = email.message_from_bytes(data.lstrip(b"\xef\xbb\xbf\r\n"), policy=email.policy.compat32)
    draft = Draft(depth=depth)
    add_fields(draft, {field: _field(message, field) for field in FIELDS})
    body, attachments = _sort(message)
    for part in body:
        _add_body(draft, part)
    if not body and _is_encrypted(message):
        raise UnreadableFile(ReadProblem.ENCRYPTED, "the mail is encrypted; export it decrypted from the mail program")
    add_attachments(draft, ((_name(part, i), _payload(part)) for i, part in enumerate(attachments, start=1)))
    return draft.extract("message/rfc822", PurePosixPath(name).stem)


def add_fields(draft: Draft, fields: dict[str, str]) -> None:
    """Appends the fields as lines and keeps them as metadata; the subject is the title."""
    draft.title = fields.get("Subject", "")
    for field, value in fields.items():
        draft.meta(field.lower(), iso_date(value) if field == "Date" else value)
    lines = [f"{field}: {squeeze(value)}" for field, value in fields.items() if value.strip()]
    draft.add("\n".join(lines))


def add_attachments(draft: Draft, files: Iterator[tuple[str, bytes]]) -> None:
    """Reads each file with the readers and appends what it gives under its name."""
    used: dict[str, int] = {}
    for name, data in files:
        used[name] = used.get(name, 0) + 1
        part = name if used[name] == 1 else f"{name} ({used[name]})"
        draft.headings = []
        try:
            extract = read_bytes(name, data, depth=draft.depth + 1)
        except UnreadableFile as problem:
            draft.warn(f"attachment {part}: {problem}")
            draft.unread_scans += problem.reason is ReadProblem.NO_TEXT and scans.reader() is None
        else:
            draft.copy(extract, part)


def iso_date(value: str) -> str:
    """A mail date as ISO in UTC; as written where it is no date."""
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            return value
    try:
        return moment.astimezone(UTC).isoformat() if moment.tzinfo else moment.isoformat()
    except (OverflowError, ValueError):
        return value


def _field(message: Message, field: str) -> str:
    """A field with its encoded words decoded; bytes that nobody declared are detected."""
    raw = message.get(field)
    if raw is None:
        return ""
    parts: list[str] = []
    try:
        for value, charset in decode_header(raw):
            if isinstance(value, str):
                parts.append(value)
            else:
                parts.append(decode(value, "" if charset == "unknown-8bit" else charset or "").text if value else "")
    except (ValueError, UnreadableFile):
        return squeeze(str(raw))
    return squeeze("".join(parts))


def _sort(message: Message) -> tuple[list[Message], list[Message]]:
    """(parts of the body, attachments). Of alternatives the richest that can be read is the body."""
    body: list[Message] = []
    attachments: list[Message] = []
    todo = [message]
    seen = 0
    while todo and seen < _MAX_PARTS:
        part = todo.pop(0)
        seen += 1
        kind = part.get_content_type()
        nested = part.get_payload() if part.is_multipart() else []
        children = [child for child in nested if isinstance(child, Message)] if isinstance(nested, list) else []
        disposed = (part.get_content_disposition() or "") == "attachment" or bool(part.get_filename())
        if kind == "message/rfc822":
            attachments.append(part)
        elif kind == "multipart/alternative":
            todo[:0] = _best(children)
        elif children:
            todo[:0] = children
        elif kind in {"text/plain", "text/html"} and not (disposed and part is not message):
            body.append(part)
        elif kind.startswith("multipart/"):
            body.append(part)  # a boundary that never comes: the text is still there
        elif kind not in {"application/pkcs7-signature", "application/pgp-signature", "application/x-pkcs7-signature"}:
            attachments.append(part)
    return body, attachments


def _best(children: list[Message]) -> list[Message]:
    """Plain text where it says what the page says; the page where the text is a stub (\"use an HTML reader\")."""
    plain = [c for c in children if c.get_content_type() == "text/plain"]
    rich = [c for c in children if c not in plain]
    if not plain or not rich:
        return children[-1:]
    stub = len(_payload(plain[0]).split()) * 2 < len(
        re.sub(rb"<style.*?</style>|<[^>]+>", b" ", _payload(rich[-1]), flags=re.S).split()
    )
    return rich[-1:] if stub else plain[:1]


def _payload(part: Message) -> bytes:
    if part.get_content_type() == "message/rfc822" and part.is_multipart():
        inner = part.get_payload(0)
        return inner.as_bytes() if isinstance(inner, Message) else b""
    value = part.get_payload(decode=True)
    if isinstance(value, bytes):
        return value
    raw = part.get_payload()
    return raw.encode("utf-8", "surrogateescape") if isinstance(raw, str) else b""


def _add_body(draft: Draft, part: Message) -> None:
    data = _payload(part)
    if not data.strip():
        return
    charset = part.get_content_charset("") or ""
    try:
        decoded = decode(data, charset)
    except UnreadableFile as problem:
        draft.warn(f"a part of the body: {problem}")
        return
    if decoded.warning and charset:
        draft.warn(decoded.warning)
    if part.get_content_type() == "text/html":
        try:
            add_html(draft, parse_html(decoded.text))
        except UnreadableFile:
            draft.warn("an empty HTML part of the body")
    else:
        draft.add(decoded.text.strip("\r\n"))


def _name(part: Message, number: int) -> str:
    """The attachment's file name without folders; one made from its type where it has none."""
    try:
        name = part.get_filename() or ""
        name = "".join(v if isinstance(v, str) else v.decode(c or "utf-8", "replace") for v, c in decode_header(name))
    except (LookupError, ValueError, TypeError):
        name = ""
    name = squeeze(PurePosixPath(name.replace("\\", "/")).name)[:200]
    if name:
        return name
    if part.get_content_type() == "message/rfc822" and part.is_multipart():
        inner = part.get_payload(0)
        subject = _field(inner, "Subject") if isinstance(inner, Message) else ""
        return f"{subject.replace('/', '-')[:80] or f'message-{number}'}.eml"
    return f"part-{number}{_SUFFIXES.get(part.get_content_type(), '')}"


def _is_encrypted(message: Message) -> bool:
    kinds = {part.get_content_type() for part in message.walk()}
    return bool(kinds & {"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"})
