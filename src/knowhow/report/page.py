"""One self-contained HTML page: inline style, inline SVG, no script that is loaded, nothing from the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fff; --soft: #5c6675; --line: #d8dde5; --fill: #2f6fd0;
  --good: #1a7f4b; --bad: #b3382c; --panel: #f6f8fa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --paper: #14181f; --soft: #9aa4b2; --line: #333b47;
  --fill: #6ea3f5; --good: #4cc38a; --bad: #f0776a; --panel: #1c222b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 66rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .92rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { white-space: nowrap; } .number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg .soft { fill: var(--soft); } svg .grid { stroke: var(--line); }
svg .mark { fill: var(--fill); } svg .range { stroke: var(--ink); stroke-width: 1.5; } svg .path { stroke: var(--fill);
  fill: none; stroke-width: 2; }
details { border: 1px solid var(--line); border-radius: .4rem; padding: .4rem .8rem; margin: .5rem 0; }
summary { cursor: pointer; } pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--panel);
  padding: .6rem .8rem; border-radius: .4rem; } .soft { color: var(--soft); }
"""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it. `html` is trusted: only this package's renderers may make it."""

    title: str
    html: str
    note: str = ""


def page(title: str, sections: Sequence[Section], *, summary: str = "") -> str:
    """The whole document. Its policy forbids every script, font, image and connection, whatever a cell holds."""
    body = "".join(
        f"<section><h2>{escape(section.title)}</h2>"
        + (f'<p class="soft">{escape(section.note)}</p>' if section.note else "")
        + section.html
        + "</section>"
        for section in sections
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(title)}</h1>"
        + (f"<p>{escape(summary)}</p>" if summary else "")
        + body
        + "</main></body></html>\n"
    )
