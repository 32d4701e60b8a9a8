"""Promises that hold for any bytes: spans fit the text, nothing but `UnreadableFile` comes out, bombs do not go off."""

from __future__ import annotations

import csv
import io
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import test_readers_office as office
import test_readers_pdf as pages
import test_readers_text as text
from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers import READER_REVISION, read_bytes
from knowhow.types import Extract

SUFFIXES = (
    "md txt rst org adoc tex vtt html xml csv tsv json jsonl ipynb py go js eml msg rtf pdf docx xls epub".split()
)
RANDOM = st.one_of(st.binary(max_size=400), st.text(max_size=300).map(lambda s: s.encode("utf-8", "replace")))


def read_or_reason(name: str, data: bytes) -> Extract | UnreadableFile:
    """What the reader says, an unforeseen exception let through; texts are checked."""
    try:
        extract = read_bytes(name, data)
    except UnreadableFile as problem:
        return problem
    assert_fits(extract)
    return extract


def assert_fits(extract: Extract) -> None:
    """Spans are sorted, disjoint, not empty, cover the text exactly and change where the place changes."""
    assert extract.text.strip()
    at = 0
    for span in extract.spans:
        assert span.start == at < span.end
        at = span.end
    assert at == len(extract.text)
    assert not any("\ud800" <= c <= "\udfff" or (c < " " and c not in "\n\t") for c in extract.text)
    assert all(isinstance(value, str | int | float | bool) for value in extract.metadata.values())
    assert extract.title
    assert "\n" not in extract.title


SAMPLES = {
    "a.md": text.MARKDOWN.encode(),
    "a.py": text.CODE.encode(),
    "a.html": text.HTML.encode(),
    "a.csv": b"Item;Days\nLaptop;45\n\nPhone;30\n",
    "a.json": b'{"name": "x", "list": [{"a": 1}, {"b": [1, 2]}], "deep": {"er": null}}',
    "a.eml": office.mail(2).as_bytes(),
    "a.rtf": rb"{\rtf1 {\title T} one\par two\cell three\cell\row}",
    "a.docx": office.word_file(),
    "a.pptx": office.slide_file(),
    "a.xlsx": office.workbook_file(),
    "a.odt": office.odf("text", "<text:p>one</text:p><text:h>two</text:h>"),
    "a.pdf": pages.pdf([pages.column(72, 700, pages.LEFT), pages.column(72, 700, pages.RIGHT)]),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_spans_fit_the_text_of_every_format(name: str) -> None:
    extract = read_bytes(name, SAMPLES[name])
    assert_fits(extract)
    again = read_bytes(name, SAMPLES[name])
    assert asdict(again) == asdict(extract), "the same bytes give the same text"


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SUFFIXES), RANDOM)
def test_random_bytes_give_text_or_a_reason(suffix: str, data: bytes) -> None:
    read_or_reason(f"a.{suffix}", data)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_files_with_flipped_and_missing_bytes_give_text_or_a_reason(name: str, data: st.DataObject) -> None:
    source = bytearray(SAMPLES[name])
    for _ in range(data.draw(st.integers(1, 6))):
        source[data.draw(st.integers(0, len(source) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(len(source) // 2, len(source)))
    read_or_reason(name, bytes(source[:cut]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.text("ab1 |\n\t\"',;é", max_size=6), min_size=1, max_size=4), min_size=1, max_size=8))
def test_every_row_of_a_table_is_one_line_at_its_number(rows: list[list[str]]) -> None:

    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    extract = read_or_reason("a.csv", buffer.getvalue().encode())
    if isinstance(extract, UnreadableFile):
        assert extract.reason == ReadProblem.EMPTY
        return
    for span in extract.spans:
        assert span.place.row is not None


def bomb(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_a_zip_bomb_is_too_large() -> None:
    data = bomb({"word/document.xml": b"<a>" + b" " * 40_000_000})
    with pytest.raises(UnreadableFile, match="zip bomb") as caught:
        read_bytes("a.docx", data)
    assert caught.value.reason == ReadProblem.TOO_LARGE


@pytest.mark.parametrize("name", ["word/document.xml", "xl/workbook.xml", "content.xml"])
def test_xml_entities_are_refused(name: str) -> None:
    laughs = b'<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><a>&b;</a>'
    with pytest.raises(UnreadableFile) as caught:
        read_bytes("a.docx", bomb({name: laughs}))
    assert caught.value.reason == ReadProblem.DAMAGED


def test_external_entities_are_not_read() -> None:
    page = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><feed><t>hello &x;</t></feed>'
    assert "root:" not in read_bytes("a.xml", page).text


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b"[" * 200_000),
        ("a.html", b"<div>" * 50_000 + b"deep"),
        ("a.md", b"> " * 20_000 + b"deep"),
        ("a.md", b"`" * 30_000 + b"<!--" * 2_000),
        ("a.rtf", b"{\\rtf1" + b"{" * 50_000),
        ("a.py", b"(" * 20_000),
        ("a.c", b"int a(" + b"a(" * 5_000),
        ("a.csv", b'"' + b"x," * 100_000),
        ("a.html", b"<table>" + b"<td colspan=100000 rowspan=100000>x" * 200),
        ("a.eml", b"Subject: x\n" * 20_000),
        ("a.txt", b"---\n" + b"a: b\n" * 20_000),
    ],
)
def test_inputs_made_to_be_slow_end(name: str, data: bytes) -> None:
    read_or_reason(name, data)


def test_the_revision_is_a_number() -> None:
    assert READER_REVISION >= 1


@pytest.mark.data
def test_known_bad_files_are_named_by_their_reason(data: Path) -> None:
    folder = data / "messy_docs"
    with (folder / "manifest.csv").open(newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["probe"] in {"no-text-layer", "encrypted-needs-password", "empty"}
        ]
    assert len(rows) == 17
    for row in rows:
        with pytest.raises(UnreadableFile) as caught:
            read_bytes(Path(row["path"]).name, (folder / row["path"]).read_bytes())
        assert caught.value.reason.value == row["probe"], row["path"]
