"""Which elements of an HTML page a person does not see: hidden, off the page, or in the colour of the page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element

_RULE = re.compile(r"([^{}]{1,400})\{([^{}]{0,2000})\}")
_SIMPLE = re.compile(r"(?:([a-z][\w-]*)?([.#][\w-]+)|([a-z][\w-]*))$", re.I)
_HIDING = re.compile(
    r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|opacity\s*:\s*0*(?:\.0+)?\s*(?:;|!|$)|"
    r"font-size\s*:\s*0*(?:\.\d+)?(?:px|pt|em|rem|%)?\s*(?:;|!|$)|font-size\s*:\s*[01](?:\.\d+)?(?:px|pt)\s*(?:;|!|$)|"
    r"text-indent\s*:\s*-\d{3,}|(?:left|top|right|margin-left|margin-top)\s*:\s*-\d{4,}|clip\s*:\s*rect\(\s*[01]|"
    r"clip-path\s*:\s*inset\(\s*(?:50|100)%|transform\s*:\s*scale\(\s*0\s*\)|color\s*:\s*transparent)",
    re.I,
)
_COLOR = re.compile(r"(?:^|;)\s*color\s*:\s*([^;!]+)", re.I)
_BACKGROUND = re.compile(r"(?:^|;)\s*background(?:-color)?\s*:\s*([^;!]+)", re.I)
_RGB = re.compile(r"rgba?\(\s*(\d+)[\s,]+(\d+)[\s,]+(\d+)(?:[\s,/]+([\d.]+)(%?))?\s*\)")
_NAMED = {"white": (255, 255, 255), "black": (0, 0, 0), "snow": (255, 250, 250), "ivory": (255, 255, 240)}
_NEAR = 24
"""Colours closer than this in every channel cannot be told apart on a page."""

Color = tuple[int, int, int]


class Visibility:
    """Judges elements of one page by attributes, inline style and the simple rules of its style sheets.

    Colours are compared only within what inline styles and those rules say; a page without any background is white.
    """

    def __init__(self, root: _Element) -> None:
        self._rules: dict[str, str] = {}
        for node in root.iter("style"):
            # Rules inside @media print and the like say nothing about the screen.
            css = re.sub(r"/\*.*?\*/", "", node.text or "", flags=re.S)
            css = re.sub(r"@[^{;]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}|@[^{;]*;", "", css)
            for selectors, body in _RULE.findall(css):
                for selector in selectors.split(","):
                    if match := _SIMPLE.match(selector.strip()):
                        key = match[2] or match[3].lower()
                        self._rules[key] = f"{self._rules.get(key, '')};{body}"
        self._background: dict[_Element, Color | None] = {}

    def hidden(self, node: _Element) -> bool:
        """Whether `node` and all in it are invisible, as far as `node` itself says."""
        if node.get("hidden") is not None or (node.get("aria-hidden") or "").lower() == "true":
            return node.get("hidden") != "until-found"
        style = self._style(node)
        if not style and not node.get("color") and not node.get("bgcolor"):
            return False
        if _HIDING.search(style):
            return True
        return self._blends(node, style)

    def _style(self, node: _Element) -> str:
        parts = [self._rules.get(node.tag, "")] if self._rules and isinstance(node.tag, str) else []
        if self._rules:
            parts += [self._rules.get(f".{name}", "") for name in (node.get("class") or "").split()]
            parts.append(self._rules.get(f"#{node.get('id')}", ""))
        parts.append(node.get("style") or "")
        return ";".join(part for part in parts if part)

    def _blends(self, node: _Element, style: str) -> bool:
        """Whether the text colour set here is the background's."""
        stated = _COLOR.findall(style)
        value = stated[-1] if stated else (node.get("color") or "") if node.tag == "font" else ""
        color = parse_color(value) if value else None
        if color is None:
            return False
        behind: _Element | None = node
        while behind is not None:
            own = _BACKGROUND.findall(self._style(behind)) or [behind.get("bgcolor") or ""]
            if own[-1].strip():
                shade = parse_color(own[-1])
                # An image or gradient behind the text: no telling.
                return shade is not None and _close(color, shade)
            behind = behind.getparent()
        return _close(color, (255, 255, 255))


def parse_color(value: str) -> Color | None:
    """Red, green, blue of a CSS colour, or None for what is not a plain one."""
    value = value.strip().lower()
    if value.startswith("#"):
        digits = value[1:7] if len(value) >= 7 else "".join(c * 2 for c in value[1:4])
        try:
            return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)
        except ValueError:
            return None
    if match := _RGB.match(value):
        return int(match[1]), int(match[2]), int(match[3])
    return _NAMED.get(value.split()[0]) if value else None


def _close(a: Color, b: Color) -> bool:
    return all(abs(x - y) <= _NEAR for x, y in zip(a, b, strict=True))
