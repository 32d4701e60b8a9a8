"""HTML pages: the main content as headings, paragraphs, lists, tables and code; nothing a person cannot see."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers.decode import decode
from knowhow.ingest.readers.draft import Draft, raised, squeeze
from knowhow.ingest.readers.tables import add_table, compact
from knowhow.ingest.readers.visible import Visibility
from knowhow.types import Extract

if TYPE_CHECKING:
    from lxml.etree import _Element

_CHARSET = re.compile(
    rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w.:-]+)|<\?xml[^>]{0,100}encoding\s*=\s*[\"']([\w.:-]+)", re.I
)
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_NEVER = set(
    "script style noscript template head svg canvas iframe object embed applet audio video map datalist select option "
    "button input textarea annotation annotation-xml rp dialog link meta base param source track".split()
)
_FURNITURE = {"nav", "footer", "aside"}
_FURNITURE_ROLES = {"navigation", "banner", "contentinfo", "search", "complementary", "menu", "menubar", "toolbar"}
_BLOCKS = set(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure "
    "footer form header hgroup hr html legend li main menu nav ol p pre section summary table tbody td tfoot th thead "
    "tr ul h1 h2 h3 h4 h5 h6".split()
)
_IN_CELL = {"h1", "h2", "h3", "h4", "h5", "h6", "table", "pre"}
_HEADING = re.compile(r"h[1-6]$")
_DATES = (
    "article:published_time", "article:modified_time", "og:updated_time", "date", "dc.date", "dcterms.date",
    "dcterms.modified", "last-modified", "datepublished", "datemodified", "pubdate", "publish-date",
)  # fmt: skip
_DATE_KEYS = {"article:modified_time": "modified", "og:updated_time": "modified", "dcterms.modified": "modified",
              "last-modified": "modified", "datemodified": "modified"}  # fmt: skip
_MAX_SPAN = 100
_LAYOUT_CELL = 1_500
"""A cell with more text than this lays out a page, it holds no datum."""


def read(name: str, data: bytes, depth: int) -> Extract:
    """The page's main content with its title and metadata."""
    match = _CHARSET.search(data[:4096])
    decoded = decode(data, (match[1] or match[2]).decode("ascii") if match else "")
    draft = Draft(depth=depth)
    if decoded.warning:
        draft.warn(decoded.warning)
    root = parse_html(decoded.text)
    _metadata(draft, root)
    add_html(draft, root)
    return draft.extract("text/html", PurePosixPath(name).stem)


def parse_html(text: str) -> _Element:
    """The tree of a page, however broken. Raises `UnreadableFile` (empty) when there is none."""
    from lxml import etree, html

    text = _DECLARATION.sub("", text.replace("\x00", ""), count=1)
    parser = html.HTMLParser(no_network=True, huge_tree=False, remove_comments=True, remove_pis=True, encoding="utf-8")
    try:
        root = html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        raise UnreadableFile(ReadProblem.EMPTY, "the page has no content") from None
    return root


def add_html(draft: Draft, root: _Element) -> None:
    """Appends what a person reads on the page; hidden text and furniture are counted in the warnings."""
    invisible = _drop_hidden(root)
    if invisible:
        draft.warn(f"{invisible} characters of hidden text left out")
    removed = _drop_furniture(root)
    if removed:
        draft.warn(f"{removed} characters of navigation, footers and sidebars left out")
    _Flow(draft).walk(root)


def _text_size(node: _Element) -> int:
    return sum(len(squeeze(str(part))) for part in node.itertext())


def _remove(node: _Element) -> None:
    """Takes an element out but leaves the text behind it."""
    parent = node.getparent()
    if parent is None:
        return
    if node.tail:
        before = node.getprevious()
        if before is not None:
            before.tail = (before.tail or "") + node.tail
        else:
            parent.text = (parent.text or "") + node.tail
    parent.remove(node)


def _drop_hidden(root: _Element) -> int:
    visibility = Visibility(root)
    for node in [n for n in root.iter() if isinstance(n.tag, str) and n.tag.lower() in _NEVER and n.tag != "head"]:
        _remove(node)
    gone = 0
    for node in [
        n for n in root.iter() if isinstance(n.tag, str) and n.tag not in {"html", "body"} and visibility.hidden(n)
    ]:
        gone += _text_size(node)
        _remove(node)
    return gone


def _drop_furniture(root: _Element) -> int:
    """Removes what surrounds the content, unless that is most of the page."""
    body = root.find("body")
    body = root if body is None else body
    total = _text_size(body)
    candidates = [n for n in body.iter() if isinstance(n.tag, str) and _is_furniture(n)]
    outer = [n for n in candidates if not any(parent in candidates for parent in n.iterancestors())]
    size = sum(_text_size(n) for n in outer)
    if size * 2 > total:
        return 0
    for node in outer:
        _remove(node)
    return size


def _is_furniture(node: _Element) -> bool:
    if (node.get("role") or "").lower() in _FURNITURE_ROLES:
        return True
    inside = any(parent.tag in {"article", "main", "section", "blockquote"} for parent in node.iterancestors())
    if node.tag == "header":
        return not inside and node.find(".//h1") is None
    return node.tag in _FURNITURE and not (inside and node.tag != "nav")


def _metadata(draft: Draft, root: _Element) -> None:
    title = root.find(".//title")
    draft.title = squeeze(title.text or "") if title is not None else ""
    draft.meta("language", root.get("lang") or "")
    for node in root.iter("meta"):
        key = (node.get("name") or node.get("property") or node.get("itemprop") or node.get("http-equiv") or "").lower()
        content = node.get("content") or ""
        if key in _DATES:
            draft.meta(_DATE_KEYS.get(key, "date"), content)
        elif key in {"author", "description", "keywords"}:
            draft.meta(key, content)
        elif key == "og:title" and not draft.title:
            draft.title = content


class _Flow:
    """Walks a tree in document order without recursion and hands blocks to the draft."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.inline: list[str] = []
        self.lists: list[list[str | int]] = []
        self.item = ""

    def walk(self, root: _Element) -> None:
        from lxml import etree

        walker = etree.iterwalk(root, events=("start", "end"))
        for event, node in walker:
            if not isinstance(node.tag, str):
                self.inline.append(node.tail or "" if event == "end" else "")
            elif event == "start":
                if self._start(node):
                    walker.skip_subtree()
            else:
                self._end(node)
                self.inline.append(node.tail or "")
        self.flush()

    def _start(self, node: _Element) -> bool:
        """Opens an element; True when its inside is done with."""
        tag = node.tag.lower()
        if tag == "head":
            return True
        if tag in _BLOCKS:
            self.flush()
        if _HEADING.match(tag):
            self.draft.heading(int(tag[1]), inline_text(node))
            return True
        if tag == "pre":
            self.draft.add("".join(map(str, node.itertext())).strip("\n"), "code")
            return True
        if tag == "table" and not _is_layout(node):
            self._table(node)
            return True
        if tag in {"ul", "ol", "menu", "dir"}:
            start = node.get("start") or "1"
            self.lists.append([tag, int(start) if start.lstrip("-").isdigit() and len(start) < 9 else 1])
        elif tag == "li":
            self.item = self._bullet()
        elif tag == "br":
            self.inline.append("\0")
        elif tag == "sup":
            self.inline.append(raised("".join(self.inline[-3:]), squeeze("".join(map(str, node.itertext())))))
        elif tag == "dd":
            self.item = "  "
        self.inline.append(node.text or "")
        return False

    def _end(self, node: _Element) -> None:
        tag = node.tag.lower()
        if tag in _BLOCKS:
            self.flush()
            self.item = "" if tag in {"li", "dd"} else self.item
        if tag in {"ul", "ol", "menu", "dir"} and self.lists:
            self.lists.pop()

    def _bullet(self) -> str:
        indent = "  " * max(0, len(self.lists) - 1)
        if self.lists and self.lists[-1][0] == "ol":
            number = int(self.lists[-1][1])
            self.lists[-1][1] = number + 1
            return f"{indent}{number}. "
        return f"{indent}- "

    def flush(self) -> None:
        """Ends the paragraph at hand."""
        text = join_inline(self.inline)
        self.inline = []
        if text:
            self.draft.add(self.item + text, gap="\n" if self.lists else "\n\n")
            self.item = " " * len(self.item) if self.lists else ""

    def _table(self, table: _Element) -> None:
        caption = table.find("caption")
        if caption is not None:
            self.draft.add(inline_text(caption))
        rows, head = table_grid(table)
        add_table(self.draft, compact(rows), marked=head)


def inline_text(node: _Element) -> str:
    """All text in an element on one line; breaks and blocks become blanks."""
    return squeeze(" ".join(_chunks(node)))


def _chunks(node: _Element) -> list[str]:
    """Text of an element cut only where a block or a break stands, so that marked-up words stay whole."""
    from lxml import etree

    chunks: list[str] = []
    current = [node.text or ""]
    for event, part in etree.iterwalk(node, events=("start", "end")):
        if part is node:
            continue
        if isinstance(part.tag, str) and (part.tag in _BLOCKS or part.tag == "br"):
            chunks.append("".join(current))
            current = []
        if part.tag == "sup" and event == "start":
            current.append(raised("".join(current), squeeze("".join(map(str, part.itertext())))))
        current.append((part.text if event == "start" else part.tail) or "")
    return [*chunks, "".join(current)]


def join_inline(parts: list[str]) -> str:
    """Pieces of running text as a paragraph: whitespace runs are one blank, `<br>` (kept as NUL) a line end."""
    return "\n".join(squeeze(line) for line in "".join(parts).split("\0")).strip()


def _is_layout(table: _Element) -> bool:
    """Whether the table places blocks on a page instead of holding data."""
    if (table.get("role") or "").lower() in {"presentation", "none"}:
        return True
    if any(True for _ in table.iter(*_IN_CELL - {"table"})) or any(t is not table for t in table.iter("table")):
        return not any(True for _ in table.iter("th"))
    return any(_text_size(cell) > _LAYOUT_CELL for cell in table.iter("td"))


def table_grid(table: _Element) -> tuple[list[list[str]], bool]:
    """Rows with spanning cells repeated, and whether the first row is marked as a header."""
    grid: list[list[str]] = []
    pending: dict[int, tuple[int, str]] = {}
    head = False
    for tr in table.iter("tr"):
        if next(tr.iterancestors("table"), None) is not table:
            continue
        row: list[str] = []
        cells = [cell for cell in tr if cell.tag in {"td", "th"}]
        if not grid:
            head = bool(cells) and (
                all(c.tag == "th" for c in cells) or next(tr.iterancestors("thead"), None) is not None
            )
        for cell in cells:
            _take_pending(row, pending)
            text = inline_text(cell)
            across, down = _span(cell.get("colspan")), _span(cell.get("rowspan"))
            if len(cells) == 1 and not row:
                across = 1  # a title across the table
            for _ in range(across):
                if down > 1:
                    pending[len(row)] = (down - 1, text)
                row.append(text)
        _take_pending(row, pending)
        grid.append(row)
    return grid, head


def _take_pending(row: list[str], pending: dict[int, tuple[int, str]]) -> None:
    while len(row) in pending:
        left, text = pending.pop(len(row))
        if left > 1:
            pending[len(row)] = (left - 1, text)
        row.append(text)


def _span(value: str | None) -> int:
    return min(int(value), _MAX_SPAN) if value and value.isdigit() and len(value) < 9 and int(value) else 1
