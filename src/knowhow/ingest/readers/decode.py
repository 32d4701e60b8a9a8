"""Bytes to text: byte order marks, what the bytes show, what the file declares, and a guess, in that order."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from knowhow.errors import ReadProblem, UnreadableFile

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What browsers take these labels to mean (WHATWG Encoding Standard); pages say latin-1 and use cp1252's quotes.
_LABELS = {"ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "gb2312": "gb18030", "gbk": "gb18030"}
_SHORT = 64
"""With fewer bytes outside ASCII than this a statistical guess is mostly noise."""
_STRAY = 2
"""Control bytes that a short text may hold by accident."""
_SAMPLE = 200_000
_HIGH = re.compile(rb"[\x80-\xff]+")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text, the encoding it was read with, and a sentence where that is not what the file said or was repaired."""

    text: str
    encoding: str
    warning: str = ""


def decode(data: bytes, declared: str = "") -> Decoded:
    """Text of `data`. Raises `UnreadableFile` (unsupported-format) when the bytes are no text in any encoding."""
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return Decoded(data[len(bom) :].decode(encoding, "replace"), encoding)
    declared = _known(declared)
    wide = _without_bom(data)
    if wide:
        return Decoded(data.decode(wide, "replace"), wide, f"read as {wide}, which the file does not declare")
    if _looks_binary(data):
        raise UnreadableFile(ReadProblem.UNSUPPORTED, "the content is binary data in no format Knowhow knows")
    if b"\x1b$" in data and (text := _strict(data, "iso2022_jp_2")) is not None:
        return Decoded(text, "iso2022_jp_2")
    text = _strict(data, "utf-8")
    if text is not None:
        wrong = bool(declared) and declared != "utf-8" and not data.isascii()
        return Decoded(text, "utf-8", f"declares {declared}, is utf-8" if wrong else "")
    if declared and declared != "utf-8" and (text := _strict(data, declared)) is not None and _is_prose(text):
        return Decoded(text, declared)
    guess = _guess(data)
    return Decoded(
        guess.text, guess.encoding, f"declares {declared}, is {guess.encoding}" if declared else guess.warning
    )


def _known(label: str) -> str:
    """Python's name for a declared charset, or empty for one that does not exist or is no text encoding."""
    try:
        info = codecs.lookup(label.strip().strip("\"'")) if label else None
    except (LookupError, ValueError):
        return ""
    # Codecs such as base64 or zlib are no character sets: they would turn a small file into a large one.
    if (
        info is None
        or not getattr(info, "_is_text_encoding", True)
        or info.name in {"utf-16", "utf-32", "utf-7", "idna"}
    ):
        return ""
    return _LABELS.get(info.name, info.name)


def _strict(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError, ValueError):
        return None


def _without_bom(data: bytes) -> str:
    """UTF-16 or UTF-32 without a mark, told by where the zero bytes are; East Asian UTF-16 has few, so text decides."""
    sample = data[:4096]
    sample = sample[: len(sample) - len(sample) % 4]
    if len(sample) < 4 or b"\x00" not in sample:
        return ""
    zeros = [sample[i::4].count(0) / (len(sample) // 4) for i in range(4)]
    if zeros[1] > 0.9 and zeros[2] > 0.9 and zeros[3] > 0.9 and zeros[0] < 0.1:
        return "utf-32-le"
    if zeros[0] > 0.9 and zeros[1] > 0.9 and zeros[2] > 0.9 and zeros[3] < 0.1:
        return "utf-32-be"
    even, odd = (zeros[0] + zeros[2]) / 2, (zeros[1] + zeros[3]) / 2
    for encoding, high, low in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        # Even CJK text has blanks, digits and line ends, whose high byte is zero.
        if high > 0.02 and low < 0.01:
            text = _strict(sample, encoding)
            if text is not None and _is_prose(text) and (high > 0.3 or _controls(text) == 0):
                return encoding
    return ""


def _looks_binary(data: bytes) -> bool:
    """Whether control bytes that no text uses are more than strays in the first 8 kB."""
    sample = data[:8192]
    controls = len(sample) - len(sample.translate(None, bytes([*range(9), *range(14, 27), *range(28, 32), 127])))
    return controls > max(_STRAY, len(sample) // 50) or sample.count(0) > max(_STRAY, len(sample) // 200)


def _controls(text: str) -> int:
    return sum(1 for c in text if c < " " and c not in "\t\n\r\f") + sum(1 for c in text if "\x7f" <= c <= "\x9f")


def _is_prose(text: str) -> bool:
    """Whether letters, digits, blanks and common marks make up nearly all of it."""
    sample = text[:4000]
    odd = sum(1 for c in sample if not (c.isprintable() or c in "\t\n\r\f") or "\ue000" <= c <= "\uf8ff")
    return odd * 50 <= len(sample)


def _guess(data: bytes) -> Decoded:
    high = _HIGH.findall(data)
    broken = _broken_utf8(data)
    if broken is not None:
        return broken
    count = sum(len(run) for run in high)
    if count >= _SHORT:
        from charset_normalizer import from_bytes

        best = from_bytes(data[:_SAMPLE], enable_fallback=False).best()
        if best is not None:
            text = _strict(data, best.encoding)
            if text is not None:
                return Decoded(text, best.encoding, f"no encoding declared; read as {best.encoding}")
    text = data.decode("cp1252", "replace")
    return Decoded(text, "cp1252", "no encoding declared; read as cp1252")


def _broken_utf8(data: bytes) -> Decoded | None:
    """UTF-8 with a few bytes of cp1252 pasted in, or cut in the middle of a character; None when it is not that."""
    text = data.decode("utf-8", "surrogateescape")
    stray = sum(1 for c in text if "\udc80" <= c <= "\udcff")
    real = sum(1 for c in text if c > "\x7f") - stray
    if real < 3 * stray:
        return None
    repaired = re.sub("[\udc80-\udcff]", lambda m: bytes([ord(m[0]) - 0xDC00]).decode("cp1252", "replace"), text)
    return Decoded(repaired, "utf-8", f"{stray} bytes were not utf-8 and were read as cp1252")
