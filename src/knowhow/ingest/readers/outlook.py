"""Outlook messages (msg): the properties of the OLE container, body and attachments."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers.decode import decode
from knowhow.ingest.readers.draft import Draft
from knowhow.ingest.readers.html import add_html, parse_html
from knowhow.ingest.readers.mail import add_attachments, add_fields
from knowhow.types import Extract

if TYPE_CHECKING:
    from olefile import OleFileIO

# Property ids of [MS-OXPROPS]; a stream's name is the id and the type (001F UTF-16, 001E code page, 0102 bytes).
_SUBJECT, _SENDER, _ADDRESS, _TO, _CC, _BODY, _HTML, _CLASS = (
    "0037",
    "0C1A",
    "0C1F",
    "0E04",
    "0E03",
    "1000",
    "1013",
    "001A",
)
_FILE_LONG, _FILE_SHORT, _FILE_DATA = "3707", "3704", "3701"
_SENT, _DELIVERED, _CODEPAGE = 0x00390040, 0x0E060040, 0x3FFD0003
_FOLDER = re.compile(r"__attach_version1\.0_#([0-9A-Fa-f]{8})$")
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_MAX_ATTACHMENTS = 200


def read(name: str, data: bytes, depth: int) -> Extract:
    """Fields, body and attachments of a message. Attached Outlook items are named in the warnings."""
    import olefile

    draft = Draft(depth=depth)
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as ole:
            message = _Message(ole)
            if "smime" in message.text((), _CLASS).lower() and not message.text((), _BODY).strip():
                raise UnreadableFile(
                    ReadProblem.ENCRYPTED, "the message is encrypted; export it decrypted from Outlook"
                )
            sender = message.text((), _SENDER)
            address = message.text((), _ADDRESS)
            whole = f"{sender} <{address}>" if address and "@" in address and address != sender else sender or address
            fields = {"Subject": message.text((), _SUBJECT), "From": whole, "To": message.text((), _TO)}
            add_fields(draft, {**fields, "Cc": message.text((), _CC), "Date": message.sent()})
            _add_body(draft, message)
            add_attachments(draft, message.attachments(draft))
    except (OSError, struct.error, IndexError, ValueError) as error:
        raise UnreadableFile(ReadProblem.DAMAGED, f"not readable as an Outlook message ({error})") from None
    return draft.extract("application/vnd.ms-outlook", PurePosixPath(name).stem)


def _add_body(draft: Draft, message: _Message) -> None:
    text = message.text((), _BODY).strip("\r\n")
    page = message.data((), _HTML) or message.text((), _HTML).encode()
    if text.strip():
        draft.add(text)
    elif page.strip():
        try:
            add_html(draft, parse_html(decode(page, message.codepage).text))
        except UnreadableFile as problem:
            draft.warn(f"the HTML body: {problem}")
    elif message.has((), "1009", "0102"):
        draft.warn("the body is compressed RTF only: save the message as .eml to have it read")


class _Message:
    """Properties of one message, each in a stream of its own."""

    def __init__(self, ole: OleFileIO[str]) -> None:
        self._ole = ole
        self._streams = {tuple(path): path for path in ole.listdir(streams=True, storages=False)}
        fixed = self._read(("__properties_version1.0",))
        # [MS-OXMSG] 2.4: a header of 32 bytes, then entries of 16: tag, flags, value.
        self._fixed = {
            struct.unpack_from("<I", fixed, i)[0]: fixed[i + 8 : i + 16] for i in range(32, len(fixed) - 15, 16)
        }
        page = struct.unpack("<I", self._fixed[_CODEPAGE][:4])[0] if _CODEPAGE in self._fixed else 1252
        self.codepage = "utf-8" if page == 65001 else f"cp{page}"

    def _read(self, path: tuple[str, ...]) -> bytes:
        return bytes(self._ole.openstream(list(path)).read()) if path in self._streams else b""

    def has(self, folder: tuple[str, ...], key: str, kind: str) -> bool:
        """Whether the property is there in that type."""
        return (*folder, f"__substg1.0_{key}{kind}") in self._streams

    def data(self, folder: tuple[str, ...], key: str) -> bytes:
        """A binary property, empty when absent."""
        return self._read((*folder, f"__substg1.0_{key}0102"))

    def text(self, folder: tuple[str, ...], key: str) -> str:
        """A string property, empty when absent."""
        wide = self._read((*folder, f"__substg1.0_{key}001F"))
        if wide:
            return wide.decode("utf-16-le", "replace").rstrip("\0")
        narrow = self._read((*folder, f"__substg1.0_{key}001E"))
        return decode(narrow, self.codepage).text.rstrip("\0") if narrow.strip(b"\0") else ""

    def sent(self) -> str:
        """When it was sent, else delivered, as ISO; empty when it says neither."""
        for tag in (_SENT, _DELIVERED):
            ticks = struct.unpack("<Q", self._fixed[tag])[0] if len(self._fixed.get(tag, b"")) == 8 else 0
            if 0 < ticks < 3_000_000_000_000_000_000:
                return (_EPOCH + timedelta(microseconds=ticks // 10)).isoformat(timespec="seconds")
        return ""

    def attachments(self, draft: Draft) -> Iterator[tuple[str, bytes]]:
        """(file name, bytes) of each attached file."""
        folders = sorted({path[0] for path in self._streams if _FOLDER.match(path[0])})
        for number, folder in enumerate(folders[:_MAX_ATTACHMENTS], start=1):
            name = self.text((folder,), _FILE_LONG) or self.text((folder,), _FILE_SHORT) or f"attachment-{number}"
            content = self.data((folder,), _FILE_DATA)
            if content or self.has((folder,), _FILE_DATA, "0102"):
                yield PurePosixPath(name.replace("\\", "/")).name, content
            else:
                draft.warn(f"attachment {name}: an Outlook item inside the message; save it as a file of its own")
