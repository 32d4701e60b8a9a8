"""Options that several commands share, so that each is spelled and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
In = Annotated[
    Path | None,
    typer.Option("--workspace", "-w", metavar="DIR", help="Workspace; else the nearest knowhow.toml upwards."),
]
Access = Annotated[
    str | None,
    typer.Option("--access", metavar="TAGS", help='Tags you hold, e.g. "hr,legal"; "*" opens everything.'),
]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="KEY=VALUE", help="Only documents with this metadata (repeatable)."),
]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", metavar="TIME", help="From what was known then, e.g. 2026-03-01, 2026-03-01T12:00Z, 7d ago: 7d."
    ),
]
NewestFirst = Annotated[bool, typer.Option("--newest-first", help="Prefer what took effect last.")]
