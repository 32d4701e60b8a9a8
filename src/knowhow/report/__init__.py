"""Tables, plots and pages that every report and the console are made of: text in, text out, nothing loaded."""

from knowhow.report.page import Section, page
from knowhow.report.plots import Bar, Point, Series, bars, lines, scatter
from knowhow.report.sides import Side, side_by_side
from knowhow.report.table import Table, to_html, to_markdown

__all__ = [
    "Bar",
    "Point",
    "Section",
    "Series",
    "Side",
    "Table",
    "bars",
    "lines",
    "page",
    "scatter",
    "side_by_side",
    "to_html",
    "to_markdown",
]
