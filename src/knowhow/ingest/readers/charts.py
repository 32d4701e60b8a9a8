"""Charts inside Office files: the numbers behind them as a table, categories down, series across."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knowhow.ingest.readers.archive import attr, local
from knowhow.ingest.readers.draft import Draft, squeeze

if TYPE_CHECKING:
    from lxml.etree import _Element


def add_chart(draft: Draft, root: _Element) -> None:
    """Appends a chart's title and its cached data."""
    title = next((node for node in root.iter() if local(node) == "title"), None)
    if title is not None:
        draft.add(squeeze(" ".join(t.text or "" for t in title.iter() if local(t) in {"t", "v"})))
    names: list[str] = []
    categories: dict[int, str] = {}
    values: list[dict[int, str]] = []
    for series in (node for node in root.iter() if local(node) == "ser"):
        parts = {local(node): node for node in series}
        name = parts.get("tx")
        names.append(
            squeeze(" ".join(n.text or "" for n in name.iter() if local(n) == "v")) if name is not None else ""
        )
        for key in ("cat", "xVal"):
            if key in parts:
                categories = categories or _points(parts[key])
        data = parts.get("val", parts.get("yVal"))
        values.append(_points(data) if data is not None else {})
    rows = sorted(set(categories).union(*values)) if values else []
    if rows:
        table = [[categories.get(i, ""), *(series_values.get(i, "") for series_values in values)] for i in rows]
        draft.table([["", *names], *table], ["", *names])


def _points(node: _Element) -> dict[int, str]:
    found = {}
    for point in node.iter():
        if local(point) == "pt" and attr(point, "idx").isdigit():
            value = next((v.text for v in point if local(v) == "v"), "") or ""
            found[int(attr(point, "idx"))] = value
    return found
