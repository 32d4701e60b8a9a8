"""Two texts side by side under one line that opens, such as an answer before and after a change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Side:
    """One of the texts, with who wrote it and what was made of it."""

    title: str
    text: str
    remark: str = ""


def side_by_side(summary: str, sides: Sequence[Side]) -> str:
    """`<details>` with the texts next to each other, and below each other on a narrow screen."""
    columns = "".join(
        f'<div style="flex:1 1 18rem;min-width:0"><p><b>{escape(side.title)}</b></p><pre>{escape(side.text)}</pre>'
        + (f'<p class="soft">{escape(side.remark)}</p>' if side.remark else "")
        + "</div>"
        for side in sides
    )
    row = f'<div style="display:flex;flex-wrap:wrap;gap:1rem">{columns}</div>'
    return f"<details><summary>{escape(summary)}</summary>{row}</details>"
