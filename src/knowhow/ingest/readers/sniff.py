"""What a file is: its first bytes decide, its name only where they leave it open."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import PurePosixPath

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers.archive import Archive


class Format(StrEnum):
    """One per reader."""

    MARKDOWN = "markdown"
    TEXT = "text"
    HTML = "html"
    XML = "xml"
    PDF = "pdf"
    WORD = "word"
    SLIDES = "slides"
    SHEETS = "sheets"
    TABLE = "table"
    MAIL = "mail"
    OUTLOOK = "outlook"
    JSON = "json"
    JSON_LINES = "json-lines"
    NOTEBOOK = "notebook"
    EPUB = "epub"
    OPEN_DOCUMENT = "open-document"
    RTF = "rtf"
    CODE = "code"
    PICTURE = "picture"


_BY_SUFFIX = {
    suffix: format
    for format, suffixes in {
        Format.MARKDOWN: "md markdown mdown mkd mdx qmd rmd",
        Format.HTML: "html htm xhtml shtml",
        Format.XML: "xml rss atom dita xliff opml",
        Format.TABLE: "csv tsv tab psv",
        Format.MAIL: "eml mht mhtml",
        Format.JSON: "json geojson jsonld webmanifest",
        Format.JSON_LINES: "jsonl ndjson",
        Format.NOTEBOOK: "ipynb",
        Format.CODE: "py pyi js mjs cjs jsx ts tsx mts cts java kt kts scala groovy go rs c h cc cpp cxx hpp hh hxx cs "
        "m mm swift rb php pl pm lua r jl sh bash zsh fish ps1 sql ex exs erl hs clj cljs ml mli fs fsx dart zig "
        "nim proto graphql tf hcl vue svelte",
    }.items()
    for suffix in suffixes.split()
}
_NEEDS_MAGIC = set(
    "pdf docx docm dotx pptx pptm ppsx xlsx xlsm xlsb odt ods odp ott epub doc dot xls ppt pps msg rtf".split()
)
_MAGIC = (
    (b"8BPS", "Photoshop image"),
    (b"\x00\x00\x01\x00", "icon"), (b"\x1f\x8b", "gzip archive"), (b"BZh", "bzip2 archive"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip archive"), (b"Rar!\x1a\x07", "RAR archive"), (b"\xfd7zXZ", "xz archive"),
    (b"\x28\xb5\x2f\xfd", "zstd archive"), (b"\x7fELF", "program"), (b"OggS", "Ogg audio"), (b"ID3", "MP3 audio"),
    (b"fLaC", "FLAC audio"), (b"SQLite format 3\x00", "SQLite database"), (b"PAR1", "Parquet file"),
    (b"\xca\xfe\xba\xbe", "program"), (b"wOFF", "font"), (b"wOF2", "font"), (b"\x00\x01\x00\x00\x00", "font"),
    (b"OTTO", "font"), (b"%!PS", "PostScript file"), (b"AT&TFORM", "DjVu file"), (b"!BDN", "Outlook data file"),
    (b"GGUF", "model file"), (b"\x93NUMPY", "numpy array"), (b"\x80\x04\x95", "Python pickle"),
    (b"\x00asm", "program"),
)  # fmt: skip
_PICTURES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"II*\x00", b"MM\x00*")
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_ODF = "application/vnd.oasis.opendocument."
_HTML_START = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|title)[\s>]", re.I | re.S)
_XML_START = re.compile(rb"\s*<\?xml[\s?]")
_MAIL_FIELD = re.compile(
    rb"(?im)^(received|mime-version|message-id|return-path|from|to|date|subject|content-type|delivered-to):[ \t]*\S"
)


def sniff(name: str, data: bytes) -> Format:
    """The format of `data`. Raises `UnreadableFile`: empty, damaged, encrypted, legacy or unsupported by name."""
    suffix = PurePosixPath(name.lower()).suffix.lstrip(".")
    if not data:
        raise UnreadableFile(ReadProblem.EMPTY, "the file has 0 bytes")
    if b"%PDF-" in data[:1024]:
        return Format.PDF
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(suffix, data)
    if data.startswith(_OLE):
        return _ole(suffix, data)
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:5] == b"{\\rtf":
        return Format.RTF
    if data.startswith(_PICTURES) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP") or _is_bmp(data):
        return Format.PICTURE
    _refuse_binary(data)
    head = _ascii_view(data[:16384])
    if _HTML_START.match(head) and suffix not in {"eml", "mhtml", "mht"}:
        return Format.HTML
    if _XML_START.match(head) and suffix not in _BY_SUFFIX:
        return Format.HTML if b"<html" in head.lower() else Format.XML
    if _is_mail(suffix, head):
        return Format.MAIL
    if suffix in _NEEDS_MAGIC:
        raise UnreadableFile(ReadProblem.DAMAGED, f"named .{suffix}, but the content is not of that format")
    return _BY_SUFFIX.get(suffix, Format.TEXT)


def _zip(suffix: str, data: bytes) -> Format:
    archive = Archive(data)
    if "mimetype" in archive:
        kind = archive.read("mimetype").decode("ascii", "replace").strip()
        if kind == "application/epub+zip":
            return Format.EPUB
        if kind.startswith(_ODF):
            return Format.OPEN_DOCUMENT
    for part, format in (("word/", Format.WORD), ("ppt/", Format.SLIDES), ("xl/", Format.SHEETS)):
        if any(name.lower().lstrip("/").startswith(part) for name in archive.names):
            return format
    if "META-INF/container.xml" in archive:
        return Format.EPUB
    if "content.xml" in archive:
        return Format.OPEN_DOCUMENT
    if suffix in _NEEDS_MAGIC:
        raise UnreadableFile(ReadProblem.DAMAGED, f"named .{suffix}, but the container lacks that format's parts")
    raise UnreadableFile(ReadProblem.UNSUPPORTED, "zip archive: unpack it and ingest the folder")


def _ole(suffix: str, data: bytes) -> Format:
    """OLE containers name their streams in UTF-16; which stream is there says what it is."""

    def has(stream: str) -> bool:
        return stream.encode("utf-16-le") in data

    if has("EncryptedPackage"):
        raise UnreadableFile(ReadProblem.ENCRYPTED, "the document needs a password; save a copy without one")
    if has("__properties_version1.0"):
        return Format.OUTLOOK
    for stream, program, target in (("WordDocument", "Word", "docx"), ("PowerPoint Document", "PowerPoint", "pptx")):
        if has(stream):
            detail = f"{program} 97-2003 file: convert it with soffice --headless --convert-to {target} FILE"
            raise UnreadableFile(ReadProblem.LEGACY, detail)
    if has("Workbook") or has("Book"):
        return Format.SHEETS
    if suffix in {"doc", "xls", "ppt", "msg"}:
        raise UnreadableFile(ReadProblem.DAMAGED, f"named .{suffix}, but the OLE container lacks that format's stream")
    raise UnreadableFile(
        ReadProblem.UNSUPPORTED, "OLE container of no known kind: export it from the program it is from"
    )


def _refuse_binary(data: bytes) -> None:
    """Names the formats that hold no text Knowhow can get at."""
    kind = next((kind for magic, kind in _MAGIC if data.startswith(magic)), "")
    if data[:4] == b"RIFF":
        kind = {b"WAVE": "WAV audio", b"AVI ": "AVI video"}.get(data[8:12], "RIFF media file")
    if data[4:8] == b"ftyp":
        kind = "HEIC image" if data[8:12] in {b"heic", b"mif1", b"avif", b"heix"} else "MP4 media file"
    if data[:2] == b"MZ" and b"PE\x00\x00" in data[:1024]:
        kind = "program"
    if data[257:262] == b"ustar":
        kind = "tar archive"
    if kind:
        mending = {"image": ": save it as PNG or JPEG", "archive": ": unpack it first"}
        raise UnreadableFile(ReadProblem.UNSUPPORTED, kind + mending.get(kind.split()[-1], ""))


def _is_bmp(data: bytes) -> bool:
    return data[:2] == b"BM" and data[6:10] == bytes(4)


def _ascii_view(head: bytes) -> bytes:
    """The first bytes with a mark and the zero bytes of wide encodings taken out, enough to see ASCII syntax."""
    return head.removeprefix(b"\xef\xbb\xbf").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff").replace(b"\x00", b"")


def _is_mail(suffix: str, head: bytes) -> bool:
    """Whether it is named as a mail, or nothing names it and it opens with at least three different mail fields."""
    if suffix in {"eml", "mht", "mhtml"}:
        return True
    if suffix not in {"", "txt", "msg", "mail"}:
        return False
    top = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]
    fields = {match.lower() for match in _MAIL_FIELD.findall(top)}
    first = top.split(b"\n", 1)[0]
    return len(fields) >= 3 and bool(fields & {b"received", b"mime-version", b"message-id"}) and b":" in first
