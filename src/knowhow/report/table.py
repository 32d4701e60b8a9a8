"""One table noun, rendered as Markdown or HTML; cells are text that is always escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` of as many cells as there are `columns`; columns named in `numbers` are set to the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[str] = frozenset()
    caption: str = ""


def to_markdown(table: Table) -> str:
    """A GitHub-flavoured table; pipes and line breaks inside cells are escaped so that no cell leaves its row."""
    lines = [
        "| " + " | ".join(map(_cell, table.columns)) + " |",
        "| " + " | ".join("---:" if column in table.numbers else "---" for column in table.columns) + " |",
    ]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in table.rows]
    if table.caption:
        lines = [table.caption, "", *lines]
    return "\n".join(lines) + "\n"


def to_html(table: Table) -> str:
    """A `<table>` that scrolls sideways by itself on a narrow screen."""
    right = [' class="number"' if column in table.numbers else "" for column in table.columns]
    head = "".join(f'<th scope="col"{c}>{escape(column)}</th>' for column, c in zip(table.columns, right, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{c}>{escape(cell)}</td>" for cell, c in zip(row, right, strict=True)) + "</tr>"
        for row in table.rows
    )
    caption = f"<caption>{escape(table.caption)}</caption>" if table.caption else ""
    return f'<div class="wide"><table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
