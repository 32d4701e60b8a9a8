"""Passages: exact ranges that cover the text, stay within one place, and change only where the document changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowhow.ingest.split import Piece, embed_hash, embed_text, split
from knowhow.types import Place, Span, SplitSpec

SPEC = SplitSpec(target=60, limit=90)


@dataclass(frozen=True)
class Part:
    """One span to be: its text, where it stands, what it is."""

    text: str
    place: Place
    kind: str = "text"
    header: str = ""


def document(parts: list[Part]) -> tuple[str, list[Span]]:
    text, spans = "", []
    for part in parts:
        spans.append(Span(len(text), len(text) + len(part.text), part.place, part.kind, part.header))  # type: ignore[arg-type]
        text += part.text
    return text, spans


def cut(parts: list[Part], spec: SplitSpec = SPEC, title: str = "") -> list[tuple[str, str]]:
    """(lead, text) of each piece."""
    text, spans = document(parts)
    return [(piece.lead, text[piece.start : piece.end]) for piece in split(text, spans, title, spec)]


def heading(*path: str, level: str = "#") -> Part:
    return Part(f"{level} {path[-1]}\n\n", Place(heading=path), "heading")


prose = st.text(alphabet="ab .\n\u00e4\U0001f600\u3000", max_size=250)
places = st.builds(
    Place,
    page=st.sampled_from([None, 1, 2]),
    heading=st.sampled_from([(), ("A",), ("A", "B"), ("C",)]),
    sheet=st.sampled_from(["", "", "S"]),
)
parts_ = st.lists(
    st.builds(Part, prose, places, st.sampled_from(["text", "text", "heading", "table", "code"]), st.just("a b")),
    max_size=6,
)
specs = st.builds(SplitSpec, target=st.integers(10, 60), limit=st.integers(60, 90), overlap=st.integers(0, 20))


@given(parts_, specs)
def test_pieces_cover_the_text_in_order_within_the_limit(parts: list[Part], spec: SplitSpec) -> None:
    text, spans = document(parts)
    pieces = split(text, spans, "Title", spec)
    covered = set()
    for piece in pieces:
        body = text[piece.start : piece.end]
        assert body == body.strip() != ""
        assert len(body) <= spec.limit + spec.overlap or body.count("\n") == 0
        covered.update(range(piece.start, piece.end))
    assert all(i in covered or character.isspace() for i, character in enumerate(text))
    assert [piece.start for piece in pieces] == sorted({piece.start for piece in pieces})
    if not spec.overlap:
        assert all(one.end <= other.start for one, other in pairwise(pieces))


@given(parts_, specs)
def test_a_piece_never_crosses_a_page_or_sheet(parts: list[Part], spec: SplitSpec) -> None:
    text, spans = document(parts)
    for piece in split(text, spans, "", spec):
        touched = [
            span
            for span in spans
            if text[max(span.start, piece.start) : min(span.end, piece.end)].strip() and span.start < piece.end
        ]
        assert len({(span.place.page, span.place.sheet) for span in touched}) == 1


def test_a_piece_never_crosses_a_heading() -> None:
    parts = [
        heading("Returns"),
        Part("45 days.\n\n", Place(heading=("Returns",))),
        heading("Shipping"),
        Part("Free.\n", Place(heading=("Shipping",))),
    ]
    assert cut(parts, title="Shop") == [
        ("Shop\nReturns", "# Returns\n\n45 days."),
        ("Shop\nShipping", "# Shipping\n\nFree."),
    ]


def test_a_heading_alone_goes_with_what_follows_it() -> None:
    parts = [
        heading("Policy"),
        heading("Policy", "Returns", level="##"),
        Part("45 days.\n", Place(heading=("Policy", "Returns"))),
    ]
    assert cut(parts) == [("Policy > Returns", "# Policy\n\n## Returns\n\n45 days.")]


def test_a_last_heading_goes_with_what_stands_before_it_on_its_page() -> None:
    one, two = Place(page=1, heading=("A",)), Place(page=2, heading=("B",))
    parts = [
        Part("Text.\n", one),
        Part("# B\n", replace(two, page=1), "heading"),
        Part("More.\n", two),
    ]
    assert cut(parts) == [("A", "Text.\n# B"), ("B", "More.")]


def test_a_document_of_headings_only_is_kept() -> None:
    assert cut([heading("A"), heading("A", "B")]) == [("A > B", "# A\n\n# B")]


def test_a_table_is_cut_between_rows_and_keeps_its_header() -> None:
    header = "name | days"
    rows = [f"laptop {i} | {i}" for i in range(20)]
    table = Part("\n".join([header, *rows]), Place(sheet="Terms"), "table", header)
    pieces = cut([table])
    assert len(pieces) > 3
    assert "\n".join(text for _, text in pieces) == table.text
    assert [lead for lead, _ in pieces] == ["Terms"] + [f"Terms\n{header}"] * (len(pieces) - 1)


def test_small_rows_under_one_heading_are_joined() -> None:
    rows = [Part(f"row {i}\n", Place(sheet="S", row=i), "table", "h") for i in range(5)]
    assert cut(rows) == [("S\nh", "row 0\nrow 1\nrow 2\nrow 3\nrow 4")]


def test_a_scrap_joins_its_neighbour() -> None:
    parts = [Part("word " * 11 + "word.\n\n", Place()), Part("End.", Place(), "code")]
    assert len(cut(parts)) == 1


def test_a_lead_names_each_thing_once_and_is_bounded() -> None:
    place = Place(heading=("Guide", "Set up"), part="mail.txt", sheet="S")
    assert cut([Part("Text", place)], title="Guide") == [("Guide\nmail.txt\nS\nSet up", "Text")]
    assert cut([Part("Guide of all", Place())], title="Guide") == [("", "Guide of all")]
    wide = cut([Part("x", Place(), "table", "column " * 200)])
    assert len(wide[0][0]) == 400


def test_overlap_repeats_whole_words() -> None:
    text = " ".join(f"w{i}" for i in range(60))
    pieces = split(text, [], "", replace(SPEC, overlap=12))
    for before, after in pairwise(pieces):
        assert before.start < after.start < before.end
        assert before.end - after.start <= 12
        assert text[after.start - 1] == " "


section = st.text(alphabet="abc de.\n", min_size=1, max_size=300).filter(str.strip)


@given(st.lists(section, min_size=2, max_size=6), st.data())
def test_an_edit_changes_only_its_own_sections_pieces(bodies: list[str], data: st.DataObject) -> None:
    edited = data.draw(st.integers(0, len(bodies) - 1))
    changed = list(bodies)
    changed[edited] = data.draw(section)

    def hashes(texts: list[str]) -> dict[int, list[str]]:
        parts = []
        for i, body in enumerate(texts):
            parts += [heading(f"H{i}"), Part(body, Place(heading=(f"H{i}",)))]
        text, spans = document(parts)
        found: dict[int, list[str]] = {}
        for piece in split(text, spans, "Title", SPEC):
            i = next(i for i in range(len(texts)) if piece.start < spans[2 * i + 1].end)
            found.setdefault(i, []).append(embed_hash(piece.lead, text[piece.start : piece.end]))
        return found

    before, after = hashes(bodies), hashes(changed)
    del before[edited], after[edited]
    assert before == after


@pytest.mark.parametrize("kind", ["text", "table"])
@given(at=st.integers(0, 200), new=st.text(alphabet="abc ", max_size=40))
@settings(max_examples=25)
def test_an_edit_early_in_a_long_section_leaves_what_is_far_behind_it(kind: str, at: int, new: str) -> None:
    mark = "\n\n" if kind == "text" else "\n"
    text = mark.join(f"{i} says {'so ' * (i * 7 % 11)}." for i in range(600))

    def hashes(body: str) -> set[str]:
        return {embed_hash(lead, body) for lead, body in cut([Part(body, Place(), kind)])}

    before, after = hashes(text), hashes(text[:at] + new + text[at:])
    assert len(before & after) >= 0.75 * len(before)


def test_one_place_needs_no_spans() -> None:
    assert split("  A text. \n", [], "T", SPEC) == [Piece(2, 9, "T")]
    assert split(" \n\t", [], "T", SPEC) == []
    assert split("", [], "T", SPEC) == []


def test_what_is_embedded_is_the_lead_twice_and_the_text() -> None:
    assert embed_text("Lead", "text") == "Lead\nLead\ntext"
    assert embed_hash("Lead", "text") != embed_hash("", "Lead\ntext")
    assert embed_hash("", "\ud800") != embed_hash("", "\ud801")


@pytest.mark.parametrize("unit", ["a", "a b c. ", " \n"])
def test_text_without_line_breaks_takes_time_in_proportion(unit: str) -> None:
    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        start = process_time()
        split(text, [], "", SplitSpec())
        return process_time() - start

    seconds(30_000)
    assert seconds(480_000) < 40 * max(seconds(60_000), 0.002), (
        "8 times the text, at most 40 times the time (64 = square)"
    )
