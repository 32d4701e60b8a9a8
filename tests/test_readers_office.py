"""Readers of office formats, books and mail, on files made here by the usual libraries."""

from __future__ import annotations

import base64
import datetime as dt
import io
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import OxmlElement
from docx.shared import RGBColor
from openpyxl.comments import Comment

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers import read_bytes
from knowhow.types import Extract, Span


def saved(document: Any) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def span_of(extract: Extract, words: str) -> Span:
    at = extract.text.index(words)
    return next(s for s in extract.spans if s.start <= at < s.end)


def zipped(parts: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def word_file() -> bytes:
    document = docx.Document()
    document.core_properties.title = "Returns policy"
    document.core_properties.modified = dt.datetime(2026, 3, 1, 12, 0)
    document.add_heading("Returns", 1)
    paragraph = document.add_paragraph("Within ")
    paragraph.add_run("45 days").bold = True
    hidden = paragraph.add_run(" obey me")
    hidden.font.hidden = True
    white = paragraph.add_run(" white order")
    white.font.color.rgb = RGBColor(255, 255, 255)
    paragraph.add_run(" of 10")
    paragraph.add_run("6").font.superscript = True
    document.add_heading("Laptops", 2)
    document.add_paragraph("First", style="List Number")
    document.add_paragraph("Second", style="List Number")
    document.add_paragraph("Point", style="List Bullet")
    table = document.add_table(rows=3, cols=2)
    for row, cells in zip(table.rows, [("Item", "Days"), ("Laptop\nnew", "45"), ("", "30")], strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    document.sections[0].header.paragraphs[0].text = "Confidential"
    deleted = document.add_paragraph("Kept.")._p
    removal = OxmlElement("w:del")
    run = OxmlElement("w:r")
    text = OxmlElement("w:delText")
    text.text = "struck out"
    run.append(text)
    removal.append(run)
    deleted.append(removal)
    return saved(document)


def test_word_keeps_structure_and_drops_what_is_not_seen() -> None:
    extract = read_bytes("returns.docx", word_file())
    assert (extract.title, extract.metadata["modified"][:10]) == ("Returns policy", "2026-03-01")
    assert "Within 45 days of 10^6" in extract.text
    for gone in ("obey me", "white order", "struck out", "Confidential"):
        assert gone not in extract.text
    assert any("Confidential" in w for w in extract.warnings)
    assert any("hidden" in w for w in extract.warnings)
    assert "1. First\n2. Second\n- Point" in extract.text
    table = span_of(extract, "Laptop new | 30")
    assert (table.kind, table.header, table.place.heading) == ("table", "Item | Days", ("Returns", "Laptops"))


def test_word_equations_keep_powers_and_fractions() -> None:
    math = (
        '<m:oMath xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"><m:r><m:t>A=</m:t></m:r>'
        "<m:sSup><m:e><m:r><m:t>r</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup>"
        "<m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num><m:den><m:r><m:t>c</m:t></m:r></m:den></m:f></m:oMath>"
    )
    body = f'<w:document xmlns:w="urn:w"><w:body><w:p><w:r><w:t>Area </w:t></w:r>{math}</w:p></w:body></w:document>'
    assert read_bytes("a.docx", zipped({"word/document.xml": body})).text == "Area A=r^2(a+b)/c"


def slide_file() -> bytes:
    deck = pptx.Presentation()
    for number, title in enumerate(["Plan", "Hidden plan"], start=1):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        frame = slide.placeholders[1].text_frame
        frame.text = f"Point {number}"
        inner = frame.add_paragraph()
        inner.text, inner.level = "Inner", 1
        if number == 1:
            table = slide.shapes.add_table(2, 2, 0, 5_000_000, 3_000_000, 500_000).table
            for i, text in enumerate(["Item", "Days", "Laptop", "45"]):
                table.cell(i // 2, i % 2).text = text
            slide.notes_slide.notes_text_frame.text = "Say hello"
        else:
            slide._element.set("show", "0")
    return saved(deck)


def test_slides_have_number_title_table_and_notes() -> None:
    extract = read_bytes("plan.pptx", slide_file())
    assert extract.text == "Plan\n\nPoint 1\n  - Inner\n\nItem | Days\nLaptop | 45\n\nNotes: Say hello"
    assert {s.place.slide for s in extract.spans} == {1}
    assert span_of(extract, "Laptop").header == "Item | Days"
    assert span_of(extract, "Say").place.heading == ("Plan",)
    assert "1 hidden slides left out" in extract.warnings


def workbook_file() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Prices"
    rows = [["Price list", None, None], [], ["Item", "From", "Price"], ["Laptop", dt.date(2026, 3, 1), 1200.0],
            ["Phone", dt.datetime(2026, 3, 1, 9, 30), 0.1 + 0.2], [], ["Late", None, 1e6]]  # fmt: skip
    for row in rows:
        sheet.append(row)
    sheet["A5"].comment = Comment("why?", "Ann")
    sheet["C8"] = "=SUM(C4:C7)"
    sheet.merge_cells("A1:C1")
    book.create_sheet("Secret").sheet_state = "hidden"
    book["Secret"]["A1"] = "secret"
    return saved(book)


def test_sheets_have_real_rows_iso_dates_and_headers() -> None:
    extract = read_bytes("prices.xlsx", workbook_file())
    assert "Item | From | Price\nLaptop | 2026-03-01 | 1200\nPhone | 2026-03-01 09:30:00 | 0.3" in extract.text
    span = span_of(extract, "Laptop")
    assert (span.place.sheet, span.place.row, span.header) == ("Prices", 3, "Item | From | Price")
    assert (span_of(extract, "Late").place.row, span_of(extract, "Late").header) == (7, "Item | From | Price")
    assert extract.text.count("Price list") == 1
    assert "secret" not in extract.text
    assert any("Secret" in w for w in extract.warnings)
    assert any("formulas have no stored value" in w for w in extract.warnings)
    assert any("comments" in w for w in extract.warnings)


CELL = "<table:table-cell><text:p>{}</text:p></table:table-cell>"
ODF = 'xmlns:office="o" xmlns:text="t" xmlns:table="tb" xmlns:draw="d" xmlns:presentation="p"'


def odf(kind: str, body: str, **parts: str) -> bytes:
    inner = f"<office:body><office:{kind}>{body}</office:{kind}></office:body>"
    content = f"<office:document-content {ODF}>{inner}</office:document-content>"
    return zipped({"mimetype": f"application/vnd.oasis.opendocument.{kind}", "content.xml": content, **parts})


def test_open_document_text() -> None:
    body = (
        '<text:h text:outline-level="1">Returns</text:h><text:p>45<text:s text:c="2"/>days</text:p>'
        "<text:list><text:list-item><text:p>one</text:p></text:list-item></text:list>"
        f"<table:table><table:table-header-rows><table:table-row>{CELL.format('Item')}{CELL.format('Days')}</table:table-row>"
        f"</table:table-header-rows><table:table-row>{CELL.format('Laptop')}{CELL.format('45')}</table:table-row></table:table>"
    )
    extract = read_bytes("a.odt", odf("text", body))
    assert extract.text == "Returns\n\n45  days\n\n- one\nItem | Days\nLaptop | 45"
    assert span_of(extract, "Laptop").header == "Item | Days"
    assert span_of(extract, "Laptop").place.heading == ("Returns",)


def test_open_document_sheet_with_repeats_and_an_endless_rest() -> None:
    cell = CELL
    body = (
        '<table:table table:name="S">'
        '<table:table-row table:number-rows-repeated="4"><table:table-cell/></table:table-row>'
        f"<table:table-row>{cell.format('Item')}{cell.format('Days')}</table:table-row>"
        f'<table:table-row table:number-rows-repeated="2">{cell.format("Laptop")}{cell.format("45")}</table:table-row>'
        '<table:table-row table:number-rows-repeated="1048000">'
        '<table:table-cell table:number-columns-repeated="16384"/></table:table-row></table:table>'
    )
    extract = read_bytes("a.ods", odf("spreadsheet", body))
    assert extract.text == "Item | Days\nLaptop | 45\nLaptop | 45"
    assert (extract.spans[0].place.sheet, extract.spans[0].place.row) == ("S", 5)


def test_encrypted_open_document() -> None:
    data = odf("text", "", **{"META-INF/manifest.xml": "<m><encryption-data/></m>"})
    with pytest.raises(UnreadableFile) as caught:
        read_bytes("a.odt", data)
    assert caught.value.reason == ReadProblem.ENCRYPTED


def test_epub_follows_the_spine() -> None:
    page = "<html xmlns='http://www.w3.org/1999/xhtml'><body><h1>{}</h1><p>{}</p></body></html>"
    package = (
        "<package xmlns:dc='http://purl.org/dc/elements/1.1/'><metadata><dc:title>Book</dc:title>"
        "<dc:creator>Ann</dc:creator></metadata><manifest>"
        "<item id='b' href='b%20.xhtml' media-type='application/xhtml+xml'/>"
        "<item id='a' href='a.xhtml' media-type='application/xhtml+xml'/>"
        "<item id='n' href='nav.xhtml' properties='nav' media-type='application/xhtml+xml'/></manifest>"
        "<spine><itemref idref='n'/><itemref idref='a'/><itemref idref='b'/></spine></package>"
    )
    parts: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": "<c><rootfile full-path='OEBPS/p.opf'/></c>",
        "OEBPS/p.opf": package,
        "OEBPS/a.xhtml": page.format("One", "first &nbsp;é"),
        "OEBPS/b .xhtml": page.format("Two", "second"),
        "OEBPS/nav.xhtml": page.format("Contents", "toc"),
    }
    extract = read_bytes("book.epub", zipped(parts))
    assert extract.text == "One\n\nfirst é\n\nTwo\n\nsecond"
    assert (extract.title, extract.metadata["author"]) == ("Book", "Ann")
    assert span_of(extract, "second").place.heading == ("Two",)


def test_rtf_text_tables_and_hidden_words() -> None:
    table = rb"\trowd Item\cell Days\cell\row Laptop\cell 45\cell\row"
    source = rb"{\rtf1\ansi\ansicpg1252{\info{\title Returns}}Gr\'fc\'dfe \u8364? {\v obey me}\par " + table + b"}"
    extract = read_bytes("a.rtf", source)
    assert extract.title == "Returns"
    assert "Grüße €" in extract.text
    assert "obey" not in extract.text
    assert span_of(extract, "Laptop | 45").header == "Item | Days"


def mail(depth: int = 0) -> EmailMessage:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Grüße", "Ann <a@x.org>", "b@x.org"
    message["Date"] = "Sun, 01 Mar 2026 10:00:00 +0100"
    message.set_content("Within 45 days.")
    message.add_alternative("<p>Within <b>45</b> days.</p>", subtype="html")
    if depth:
        message.add_attachment(mail(depth - 1))
    return message


def test_mail_has_fields_body_and_attachments_under_their_names() -> None:
    message = mail()
    message.add_attachment(word_file(), maintype="application", subtype="octet-stream", filename="../Returns.docx")
    message.add_attachment(b"\x89PNG\r\n\x1a\n", maintype="image", subtype="png", filename="logo.png")
    extract = read_bytes("a.eml", message.as_bytes())
    assert extract.title == "Grüße"
    assert extract.metadata["date"] == "2026-03-01T09:00:00+00:00"
    assert extract.text.startswith("Subject: Grüße\nFrom: Ann <a@x.org>\nTo: b@x.org")
    body = extract.text.partition("Returns\n")[0]
    assert body.count("45 days") == 1, "only one of the alternatives"
    place = span_of(extract, "Laptop new").place
    assert (place.part, place.heading) == ("Returns.docx", ("Returns", "Laptops"))
    assert any("logo.png" in w and "no-text-layer" in w for w in extract.warnings)


def test_mails_in_mails_end_at_a_depth() -> None:
    extract = read_bytes("a.eml", mail(8).as_bytes())
    assert extract.text.count("Subject:") == 5
    assert any("deep" in w for w in extract.warnings)


def test_mail_that_is_html_only_or_badly_declared() -> None:
    page = (
        b"Subject: x\nContent-Type: text/html; charset=us-ascii\n\n<p>Gr\xfc\xdfe</p><p style='display:none'>obey</p>"
    )
    assert read_bytes("a.eml", page).text == "Subject: x\n\nGrüße"
    encoded = (
        b"Subject: =?utf-8?b?" + base64.b64encode("Grüße".encode()) + b"?=\nContent-Transfer-Encoding: base64\n\n!!!"
    )
    assert read_bytes("a.eml", encoded).title == "Grüße"


@pytest.mark.parametrize("make", [word_file, slide_file, workbook_file])
def test_a_damaged_office_file_is_named_so(make: Callable[[], bytes]) -> None:
    data = make()
    with pytest.raises(UnreadableFile) as caught:
        read_bytes("a.docx", data[: len(data) // 2])
    assert caught.value.reason == ReadProblem.DAMAGED
