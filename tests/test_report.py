"""Reports: hostile cells stay text, unmeasured is never drawn as zero, and every SVG is well formed."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowhow.report import Bar, Point, Section, Series, Table, bars, lines, page, scatter, to_html, to_markdown

words = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
numbers = st.floats(-1e6, 1e6)


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter("text")]


@given(st.lists(st.tuples(words, st.none() | st.floats(0, 1e6), words), max_size=6))
def test_bars_are_well_formed_for_any_labels_and_values(rows: list[tuple[str, float | None, str]]) -> None:
    ElementTree.fromstring(bars("t", [Bar(label, value, note=note) for label, value, note in rows]))


@given(st.lists(st.tuples(words, numbers, numbers), max_size=6))
def test_scatter_and_lines_are_well_formed(rows: list[tuple[str, float, float]]) -> None:
    points = [Point(label, x, y, min(0.0, y), max(0.0, y)) for label, x, y in rows]
    ElementTree.fromstring(scatter("t", points, x_label="x", y_label="y"))
    band = [(x, min(0.0, y), max(0.0, y)) for _, x, y in rows]
    ElementTree.fromstring(lines("t", [Series("s", [(x, y) for _, x, y in rows], band)], x_label="x", y_label="y"))


def test_an_unmeasured_bar_says_why_and_draws_nothing() -> None:
    svg = bars("t", [Bar("style", None, note="no style was asked for")])
    assert "no style was asked for" in texts(svg)
    assert "<rect" not in svg


def test_a_bar_ends_where_its_value_is() -> None:
    svg = bars("t", [Bar("half", 0.5, 0.4, 0.6), Bar("whole", 1.0)], high=1.0)
    widths = [float(node.attrib["width"]) for node in ElementTree.fromstring(svg).iter("rect")]
    assert widths[1] == pytest.approx(2 * widths[0])


def test_a_plot_refuses_values_that_are_no_numbers() -> None:
    with pytest.raises(ValueError, match="finite"):
        bars("t", [Bar("x", float("nan"))])


def test_hostile_cells_stay_text() -> None:
    evil = '<script>alert(1)</script> | "x"'
    table = Table(["a|b", "n"], [[evil, "1"]], frozenset({"n"}), caption="<b>")
    html = page("<i>", [Section("<s>", to_html(table), "<u>")], summary="<p>")
    assert all(f"<{tag}>" not in html.split("</style>")[1] for tag in ("script", "i", "s", "u", "b"))
    assert "default-src 'none'" in html
    row = to_markdown(table).splitlines()[-1]
    assert row.count("|") - row.count("\\|") == 3
    assert "<script" not in row
