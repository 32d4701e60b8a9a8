"""Equations of Word documents as one line: r^2, x_1, (a+b)/c, sqrt(x)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knowhow.ingest.readers.archive import attr, local

if TYPE_CHECKING:
    from lxml.etree import _Element

_MAX_DEPTH = 60


def math_text(node: _Element, depth: int = 0) -> str:
    """The equation in the notation people type; what has no such notation gives its symbols in order."""
    name = local(node)
    if name == "t":
        return node.text or ""
    if depth > _MAX_DEPTH:
        return "".join(t.text or "" for t in node.iter() if local(t) == "t")
    parts = {local(child): math_text(child, depth + 1) for child in node}
    if name in {"sSup", "sSub", "sSubSup"}:
        below, above = parts.get("sub", ""), parts.get("sup", "")
        return parts.get("e", "") + (f"_{_group(below)}" if below else "") + (f"^{_group(above)}" if above else "")
    if name == "f":
        return f"{_group(parts.get('num', ''))}/{_group(parts.get('den', ''))}"
    if name == "rad":
        degree = parts.get("deg", "")
        return f"{f'root{degree}' if degree else 'sqrt'}({parts.get('e', '')})"
    if name == "nary":
        below, above = parts.get("sub", ""), parts.get("sup", "")
        sign = _property(node, "chr") or "∫"
        limits = (f"_{_group(below)}" if below else "") + (f"^{_group(above)}" if above else "")
        return f"{sign}{limits} {parts.get('e', '')}"
    if name == "d":
        inner = ", ".join(math_text(child, depth + 1) for child in node if local(child) == "e")
        return f"{_property(node, 'begChr') or '('}{inner}{_property(node, 'endChr') or ')'}"
    if name.endswith("Pr"):
        return ""
    return "".join(math_text(child, depth + 1) for child in node)


def _group(text: str) -> str:
    return text if len(text) <= 1 or text.isalnum() else f"({text})"


def _property(node: _Element, name: str) -> str:
    return next(
        (attr(n, "val") for child in node if local(child).endswith("Pr") for n in child if local(n) == name), ""
    )
