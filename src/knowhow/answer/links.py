"""Makes the model's output safe to render: no images, no markup, no link that the shown sources do not hold."""

from __future__ import annotations

import re
from collections.abc import Iterable

REMOVED = "‹link removed›"
_HELD = 2000
"""Characters a stream holds back at most while a link may still be open."""

_URL = r"(?:[a-zA-Z][a-zA-Z0-9+.-]{1,20}:|//|www\.)[^\s<>\"'`)\]|]+"
_TOKEN = re.compile(
    r"(?P<code>`[^`\n]+`)"
    r"|(?P<image>!\[(?P<alt>[^\]\n]{0,400})\](?:\((?P<src>[^)\n]{0,1500})\)|\[[^\]\n]{0,200}\])?)"
    r"|(?P<link>\[(?P<label>[^\[\]\n]{0,400})\]\((?P<href>[^)\n]{0,1500})\))"
    r"|(?P<define>^[ \t]*\[[^\]\n]{1,200}\]:[ \t]*\S+[^\n]*)"
    r"|(?P<auto><(?P<target>[a-zA-Z][a-zA-Z0-9+.-]{1,20}:[^\s<>]{1,1500})>)"
    r"|(?P<tag></?[a-zA-Z!][^<>\n]{0,1500}>)"
    rf"|(?P<url>(?<![\w@]){_URL})"
    r"|(?P<open><(?=[a-zA-Z/!]))",
    re.M,
)
_SCHEMES = (
    "http://",
    "https://",
    "www.",
    "//",
    "mailto:",
    "ftp://",
    "javascript:",
    "data:",
    "file:",
    "vbscript:",
    "tel:",
    "sms:",
)
_FENCE = re.compile(r"^[ \t]*(```|~~~)")
_OPENED = re.compile(r"!\[|!$|[\[<`]")
_SETTLED = re.compile(r"\[\^?\d[\d, –-]*\](?=[^(\[:<\]])")
"""A citation mark that can no longer become a link."""


def harmless(text: str, sources: Iterable[str]) -> str:
    """`text` with images reduced to their description, markup dropped, and links kept only where a source holds the
    very same address. Code blocks stay as they are; nothing in them is rendered."""
    known = known_links(sources)
    lines, fence = [], ""
    for line in text.split("\n"):
        inside, fence = fence, _fence(line, fence)
        lines.append(line if inside or fence else _line(line, known))
    return "\n".join(lines)


def _fence(line: str, fence: str) -> str:
    """The code fence that is open after `line`, "" for none. A fence is closed by its like with nothing behind it."""
    match = _FENCE.match(line)
    if not match:
        return fence
    if not fence:
        return match.group(1)
    return "" if match.group(1) == fence and not line[match.end() :].strip("`~ \t") else fence


def known_links(sources: Iterable[str]) -> frozenset[str]:
    """Every address that the shown texts hold as it stands."""
    return frozenset(_bare(match.group()) for text in sources for match in re.finditer(_URL, text))


class Rinse:
    """`harmless` for a stream: takes pieces as they come and gives back what is safe to show so far.

    What all calls of `feed` and the one of `finish` return is together exactly `harmless` of the whole.
    """

    def __init__(self, sources: Iterable[str]) -> None:
        self._known = known_links(sources)
        self._held = ""
        self._fence = ""
        self._line_shown = False

    def feed(self, piece: str) -> str:
        """The next stretch that nothing to come can change; "" while a link or a tag may still be open."""
        self._held += piece
        shown = ""
        while (end := self._held.find("\n")) >= 0:
            line, self._held = self._held[:end], self._held[end + 1 :]
            shown += self._whole(line) + "\n"
            self._line_shown = False
        safe = self._safe()
        if safe:
            shown += self._part(self._held[:safe])
            self._held = self._held[safe:]
            self._line_shown = True
        return shown

    def finish(self) -> str:
        """What was still held back."""
        rest, self._held = self._whole(self._held), ""
        return rest

    def _whole(self, line: str) -> str:
        inside = self._fence
        if not self._line_shown:
            self._fence = _fence(line, inside)
        return line if inside or self._fence else self._part(line)

    def _part(self, part: str) -> str:
        """A stretch of a line; one that does not open it gets a stand-in for what was already shown."""
        return _line(f"\0{part}", self._known)[1:] if self._line_shown else _line(part, self._known)

    def _safe(self) -> int:
        """How much of the open line can be shown: up to the last space outside anything that may become a token."""
        settled = _SETTLED.sub(lambda match: "x" * len(match.group()), self._held)
        if self._fence or (not self._line_shown and settled.lstrip(" \t")[:1] in ("`", "~", "[", "")):
            return 0
        opened = _OPENED.search(settled)
        limit = opened.start() if opened and len(settled) - opened.start() <= _HELD else len(settled)
        safe = settled.rfind(" ", 0, limit) + 1
        return safe if self._line_shown or settled[:safe].strip() else 0  # what opens the line decides what it is


def _line(line: str, known: frozenset[str]) -> str:
    while (rinsed := _TOKEN.sub(lambda match: _replaced(match, known), line)) != line:
        line = rinsed  # what was taken out may have joined the halves of another link
    return line


def _replaced(match: re.Match[str], known: frozenset[str]) -> str:
    if match.group("code"):
        return match.group()
    if match.group("image"):
        return match.group("alt").strip()
    if match.group("link"):
        address = match.group("href").strip().split(" ")[0].strip("<>")
        return f"[{match.group('label')}]({address})" if _allowed(address, known) else match.group("label")
    if match.group("define"):
        return ""
    if match.group("auto"):
        return match.group() if _allowed(match.group("target"), known) else REMOVED
    if match.group("tag"):
        return ""
    if match.group("open"):
        return "‹"
    url = match.group("url")
    if not url.lower().startswith(_SCHEMES):
        return url  # "Note:this" is no address
    return url if _allowed(url, known) else REMOVED


def _allowed(address: str, known: frozenset[str]) -> bool:
    return address.lower().startswith(("http://", "https://", "www.", "mailto:")) and _bare(address) in known


def _bare(address: str) -> str:
    return address.rstrip(".,;:!?*_")
