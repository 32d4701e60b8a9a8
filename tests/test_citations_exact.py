"""What a citation quotes stands exactly there: in the stored text of every format, and on the page of a PDF."""

from __future__ import annotations

import random
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import knowhow
from knowhow.answer import answer_json
from knowhow.backends.fake import FakeChat
from knowhow.ingest.readers import read_bytes
from knowhow.types import Box, ChatRequest, Citation, Document, PrintedLine, Recipe, pack_lines, unpack_lines
from knowhow.workspace import Workspace
from test_readers_pdf import HEIGHT, LEFT, RIGHT, WIDTH, column, pdf

COMPANY = Path(knowhow.__file__).parent / "sample" / "company"
WORD = re.compile(r"\S+")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Path]]:
    home = tmp_path_factory.mktemp("exact")
    shutil.copytree(COMPANY, home / "docs")
    with Workspace.init(home / "desk") as workspace:
        workspace.ingest(home / "docs")
        yield workspace, home / "docs"


def quoting(workspace: Workspace) -> Recipe:
    """A recipe whose model repeats a stretch of each passage it is shown, whole lines with words in them."""

    def said(request: ChatRequest) -> str:
        lines = [[line for line in text.splitlines() if WORD.search(line)] for text in request.passages]
        return "\n".join(f"{found[len(found) // 2]} [{mark}]." for mark, found in enumerate(lines, 1) if found)

    workspace._parts._opened["chat", "local:starter"] = FakeChat(said)
    return workspace.recipe("rag", {"model": "local:starter", "relevance": 0.0})


def extractive(workspace: Workspace) -> Recipe:
    return workspace.recipe("rag", {"model": "extractive", "relevance": 0.0})


def on_page(file: Path | bytes, box: Box) -> str:
    """The characters of the file whose middle lies in the box, as pdfium places them."""
    import pypdfium2

    found = []
    with pypdfium2.PdfDocument(file) as opened:
        page = opened[box.page - 1]
        texts = page.get_textpage()
        for index in range(texts.count_chars()):
            x0, y0, x1, y1 = texts.get_charbox(index, loose=True)
            x, y = (x0 + x1) / 2, (y0 + y1) / 2
            # A page shown a quarter turned to the right has its lower left corner at the upper left.
            shown = (y, x) if page.get_rotation() == 90 else (x, page.get_height() - y)
            if box.x0 <= shown[0] <= box.x1 and box.y0 <= shown[1] <= box.y1:
                found.append(texts.get_text_range(index, 1))
    return "".join(found)


def letters(text: str) -> Counter[str]:
    """Letters and digits: line ends, blanks and the hyphens between lines differ by right."""
    return Counter(char for char in text if char.isalnum())


def check(workspace: Workspace, docs: Path, citation: Citation) -> None:
    document = workspace.document(citation.uri, version=citation.version)
    assert citation.quote == document.text[citation.start : citation.end] != ""
    assert citation.place == document.place_at(citation.start)
    assert citation.boxes == document.boxes(citation.start, citation.end)
    if document.media_type == "application/pdf":
        assert citation.boxes[0].page == citation.place.page
        seen = "".join(on_page(docs / citation.uri, box) for box in citation.boxes)
        assert letters(seen) == letters(citation.quote)
    else:
        assert citation.boxes == ()


def test_every_citation_of_every_format_is_exact(desk: tuple[Workspace, Path]) -> None:
    workspace, docs = desk
    draw = random.Random(5)
    seen: Counter[str] = Counter()
    for info in workspace.documents():
        if not info.passages:
            continue
        document = workspace.document(info.uri)
        words = [word.group() for word in WORD.finditer(document.text)]
        for _ in range(1 if info.uri.endswith(".md") else 2):
            start = draw.randrange(max(1, len(words) - 8))
            question = " ".join(words[start : start + 8])
            for citation in workspace.ask(question, quoting(workspace)).citations:
                check(workspace, docs, citation)
                seen[Path(citation.uri).suffix] += 1
    assert seen.keys() >= {".md", ".pdf", ".html", ".docx", ".eml", ".xlsx", ".csv", ".pptx", ".rtf", ".json"}, seen


def test_citations_stay_exact_when_other_parts_of_the_document_change(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    closing = ["Batteries that swell go into sand box number two."]
    with Workspace.init(tmp_path / "desk") as workspace:
        cited = []
        for first in (LEFT, RIGHT + LEFT):
            (docs / "a.pdf").write_bytes(
                pdf([column(72, 700, first), column(72, 700, RIGHT), column(72, 700, closing)])
            )
            (docs / "a.md").write_text(
                "# Shop\n\n" + "\n\n".join(first) + "\n\n# Fire\n\nIn a fire everyone meets at the gate.\n"
            )
            workspace.ingest(docs)
            for question in ("Where do batteries that swell go?", "Where does everyone meet in a fire?"):
                (citation,) = workspace.ask(question, extractive(workspace)).citations[:1]
                check(workspace, docs, citation)
                cited.append(citation)
        assert [citation.version for citation in cited] == [1, 1, 2, 2]
        assert cited[0].boxes == cited[2].boxes, "the page did not change"
        assert cited[1].start != cited[3].start
        for citation in cited:
            document = workspace.document(citation.uri, version=citation.version)
            assert document.text[citation.start : citation.end] == citation.quote
            assert document.boxes(citation.start, citation.end) == citation.boxes


def test_the_boxes_are_shown_with_the_citation(desk: tuple[Workspace, Path]) -> None:
    workspace, _ = desk
    answer = workspace.ask("Where do I put a swollen battery?", extractive(workspace))
    (row,) = [row for row in answer_json(answer)["citations"] if row["uri"].endswith(".pdf")][:1]
    (first, *_) = row["boxes"]
    assert first[0] == row["page"]
    assert 0 <= first[1] < first[3] <= WIDTH
    assert 0 <= first[2] < first[4] <= HEIGHT + 100


def two_pages(rotate: int) -> bytes:
    rows = [("Item", "2025", "2026"), ("Kettles sold", "12,300", "14,900"), ("Kettles returned", "310", "290")]
    table = [line for i, row in enumerate(rows) for line in column_row(600 - 14 * i, row)]
    return pdf([[*column(72, 740, LEFT), *column(320, 740, RIGHT), *table], column(72, 700, RIGHT)], rotate=rotate)


def column_row(y: float, cells: tuple[str, ...]) -> list[str]:
    return [line for x, cell in zip((72, 250, 400), cells, strict=True) for line in column(x, y, [cell])]


@pytest.mark.parametrize("rotate", [0, 90])
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_any_range_of_a_pdf_has_boxes_with_exactly_its_words(data: st.DataObject, rotate: int) -> None:
    raw = two_pages(rotate)
    extract = read_bytes("a.pdf", raw)
    document = Document("a.pdf", extract.text, spans=extract.spans)
    words = list(WORD.finditer(extract.text))
    a, b = sorted(data.draw(st.tuples(*[st.integers(0, len(words) - 1)] * 2)))
    seen = "".join(on_page(raw, box) for box in document.boxes(words[a].start(), words[b].end()))
    assert letters(seen) == letters(extract.text[words[a].start() : words[b].end()])


# --- packing ---------------------------------------------------------------------------------------------

edge = st.integers(0, 4000).map(lambda n: n / 2)


@given(st.lists(st.lists(st.tuples(edge, edge), min_size=1, max_size=5), max_size=5), edge, st.booleans())
def test_packed_lines_come_back(rows: list[list[tuple[float, float]]], low: float, turned: bool) -> None:
    lines = []
    for number, row in enumerate(rows):
        words = [(low, a, low + 0.5, b) if turned else (a, low, b, low + 0.5) for a, b in map(sorted, row)]
        lines.append(PrintedLine(number * 10, tuple(words)))
    assert unpack_lines(pack_lines(lines)) == lines
