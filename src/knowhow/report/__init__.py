"""Tables, plots and pages that every report and the console are made of: text in, text out, nothing loaded."""

from knowhow.report.page import Section, page
from knowhow.report.plots import Bar, Point, Series, bars, lines, scatter
from knowhow.report.table import Table, to_html, to_markdown

__all__ = [
    "Bar",
    "Point",
    "Section",
    "Series",
    "Table",
    "bars",
    "lines",
    "page",
    "scatter",
    "to_html",
    "to_markdown",
]
