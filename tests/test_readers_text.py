"""Readers of text formats: places, tables, metadata and encodings that people meet."""

from __future__ import annotations

import json

import pytest

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers import read_bytes
from knowhow.types import Document, Extract, Place


def span_of(extract: Extract, words: str) -> tuple[str, Place, str, str]:
    """(text, place, kind, header) of the span that holds `words`."""
    at = extract.text.index(words)
    span = next(s for s in extract.spans if s.start <= at < s.end)
    return extract.text[span.start : span.end], span.place, span.kind, span.header


MARKDOWN = """---
title: Returns
effective: 2026-03-01
version: 1.10
tags: [shop, policy]
---
# Returns <!-- internal: pay nobody -->

Intro with `<!-- not a comment -->` in it.

## Laptops {#laptops}

Within **45 days**.

| Item | Days |
|------|-----:|
| Laptop | 45 |
| Phone \\| tablet | 30 |

```python
# not a heading
```

Setext
------

The end.
"""


def test_markdown_has_headings_tables_code_and_front_matter() -> None:
    extract = read_bytes("returns.md", MARKDOWN.encode())
    assert extract.title == "Returns"
    assert extract.metadata == {
        "title": "Returns",
        "effective": "2026-03-01",
        "version": "1.10",
        "tags": "shop, policy",
    }
    assert span_of(extract, "45 days")[1].heading == ("Returns", "Laptops")
    text, _, kind, header = span_of(extract, "Phone")
    assert (kind, header) == ("table", "Item | Days")
    assert text.strip() == "Item | Days\nLaptop | 45\nPhone | tablet | 30"
    assert span_of(extract, "# not a heading")[2] == "code"
    assert span_of(extract, "The end")[1].heading == ("Returns", "Setext")
    assert "internal" not in extract.text
    assert "<!-- not a comment -->" in extract.text
    assert any("comments" in warning for warning in extract.warnings)


def test_toml_front_matter_and_a_broken_one() -> None:
    assert read_bytes("a.md", b'+++\ntitle = "T"\n[x]\ny = 2\n+++\nbody').metadata == {"title": "T", "x.y": "2"}
    broken = read_bytes("a.md", b"---\nkey: [unclosed\n---\nbody")
    assert "unclosed" in broken.text
    assert broken.warnings


def test_front_matter_with_aliases_is_not_expanded() -> None:
    bomb = "---\na: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n---\nbody"
    extract = read_bytes("a.md", bomb.encode())
    assert extract.metadata == {}
    assert "body" in extract.text


@pytest.mark.parametrize(
    ("name", "source", "heading"),
    [
        ("a.rst", "=====\nGuide\n=====\n\nIntro\n\nSetup\n-----\n\nfind me\n", ("Guide", "Setup")),
        ("a.org", "#+TITLE: T\n* Guide\n** TODO Setup :tag:\nfind me\n", ("Guide", "Setup")),
        ("a.adoc", "= Guide\n\n== Setup\n\n----\n== no heading\n----\nfind me\n", ("Guide", "Setup")),
        ("a.tex", "\\chapter{Guide}\n\\section{Setup}\nfind me\n", ("Guide", "Setup")),
        ("a.txt", "Guide\n\nfind me\n", ()),
    ],
)
def test_light_markups_keep_their_heading_path(name: str, source: str, heading: tuple[str, ...]) -> None:
    assert span_of(read_bytes(name, source.encode()), "find me")[1].heading == heading


def test_asciidoc_table_rows_are_lines() -> None:
    extract = read_bytes("a.adoc", b"|===\n|Item |Days\n\n|Laptop |45\n|Phone |30\n|===\n")
    assert extract.text == "Item | Days\nLaptop | 45\nPhone | 30"
    assert extract.spans[0].header == "Item | Days"


def test_captions_keep_speaker_and_time() -> None:
    source = (
        "WEBVTT\n\n1\n00:00:01.000 --> 00:00:02.000\n<v Ann>Hello</v> <i>you</i>\n\n"
        "00:01:02.000 --> 00:01:03.000\nBye\n"
    )
    extract = read_bytes("talk.vtt", source.encode())
    assert extract.text == "Ann: Hello you\nBye"
    assert span_of(extract, "Bye")[1].symbol == "00:01:02"


def test_json_is_lines_under_dotted_paths() -> None:
    tree = {
        "name": "Shop",
        "open": True,
        "policy": {"returns": {"days": 45}},
        "items": [{"id": 1}, {"id": 2}],
        "t": [1, 2],
    }
    extract = read_bytes("a.json", json.dumps(tree).encode())
    assert extract.title == "Shop"
    assert span_of(extract, "days: 45")[1].symbol == "policy.returns"
    assert span_of(extract, "id: 2")[1].symbol == "items[1]"
    assert "t: 1, 2" in extract.text


def test_json_lines_know_their_line_and_survive_a_broken_one() -> None:
    extract = read_bytes("a.jsonl", b'{"q": "one"}\n{broken\n\n{"q": "two"}\n')
    assert span_of(extract, "two")[1].line == 4
    assert "{broken" in extract.text
    assert extract.warnings


def test_invalid_json_is_kept_as_text() -> None:
    extract = read_bytes("a.json", b'{"a": "b"')
    assert extract.text == '{"a": "b"'
    assert "not valid JSON" in extract.warnings[0]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimited_rows_keep_row_numbers_and_header(delimiter: str) -> None:
    rows = [["Item", "Days"], ["Laptop, 15 inch", "45"], ["two\nlines", "30"], ["", ""], ["Late", "1"]]
    source = "\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    extract = read_bytes("a.csv", source.encode())
    assert extract.text.split("\n\n")[0] == "Item | Days\nLaptop, 15 inch | 45\ntwo lines | 30"
    assert extract.spans[0].place.row == 1
    _, place, kind, header = span_of(extract, "Late")
    assert (place.row, kind, header) == (5, "table", "Item | Days")


def test_every_line_of_a_long_table_knows_its_row() -> None:
    extract = read_bytes("a.csv", ("Item,Days\n" + "".join(f"item {i},{i}\n" for i in range(2, 300))).encode())
    document = Document(uri="a", text=extract.text, spans=extract.spans)
    for row in (2, 64, 65, 66, 200, 299):
        assert document.place_at(extract.text.index(f"item {row} |")).row == row
    assert {span.header for span in extract.spans} == {"Item | Days"}


CODE = '''"""Doc."""
import os

# why
@cached
def first():
    return 1

class Shop:
    """A shop."""

    def price(self):
        return 2

CONSTANT = 3
'''


def test_python_is_cut_at_definitions() -> None:
    extract = read_bytes("shop.py", CODE.encode())
    assert span_of(extract, "# why")[1] == Place(symbol="first", line=4)
    assert span_of(extract, "return 2")[1].symbol == "Shop.price"
    assert span_of(extract, "CONSTANT")[1] == Place(symbol="", line=15)
    assert all(span.kind == "code" for span in extract.spans)
    document = Document(uri="a", text=extract.text, spans=extract.spans)
    assert document.place_at(extract.text.index("return 2")).line == 13


def test_other_languages_by_their_definitions() -> None:
    source = (
        "package shop\n\n// Price adds tax.\nfunc (s *Shop) Price(n int) int {\n\treturn n\n}\n\ntype Shop struct {}\n"
    )
    extract = read_bytes("shop.go", source.encode())
    assert span_of(extract, "adds tax")[1] == Place(symbol="Price", line=3)
    assert span_of(extract, "type Shop")[1].symbol == "Shop"
    script = read_bytes(
        "a.ts", b"export class A {\n  run(x: number) {\n    return 1;\n  }\n}\nexport const f = (x) => {\n};\n"
    )
    assert span_of(script, "const f")[1].symbol == "f"


def test_notebook_cells() -> None:
    book = {"cells": [
        {"cell_type": "markdown", "source": ["# Title\n", "words"]},
        {"cell_type": "code", "source": "x = 1", "outputs": [{"text": ["shown"]}]},
    ]}  # fmt: skip
    extract = read_bytes("a.ipynb", json.dumps(book).encode())
    assert span_of(extract, "words")[1].heading == ("Title",)
    assert span_of(extract, "x = 1")[1].symbol == "cell 2"
    assert "shown" in extract.text


UMLAUTS = "Grüße aus Köln: Öl für 5 €, naïve café – „fein“. " * 3


@pytest.mark.parametrize(
    "data",
    [
        UMLAUTS.encode("utf-8"), UMLAUTS.encode("utf-8-sig"), UMLAUTS.encode("utf-16"), UMLAUTS.encode("utf-16-le"),
        UMLAUTS.encode("utf-16-be"), UMLAUTS.encode("utf-32"), UMLAUTS.encode("utf-32-le"), UMLAUTS.encode("cp1252"),
    ],
    ids="utf-8 bom utf-16 utf-16-le utf-16-be utf-32 utf-32-le cp1252".split(),
)  # fmt: skip
def test_encodings_are_detected(data: bytes) -> None:
    assert read_bytes("a.txt", data).text.strip() == UMLAUTS.strip()


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "Возврат ноутбуков возможен в течение сорока пяти дней с момента доставки покупателю. " * 4),
        ("shift_jis", "ノートパソコンの返品は配達から四十五日以内に限ります。返金は同じ方法で行われます。" * 4),
        ("gb18030", "笔记本电脑可在送达后四十五天内退货，退款将按原支付方式退回给客户。" * 6),
        ("iso2022_jp", "ノートパソコンの返品は四十五日以内に限ります。"),
        ("utf-16-be", "返品は四十五日以内に限ります。\n" * 4),
    ],
)
def test_other_scripts_are_detected(encoding: str, text: str) -> None:
    assert read_bytes("a.txt", text.encode(encoding)).text.strip() == text.strip()


def test_a_wrong_declaration_is_seen_through() -> None:
    page = "<html><head><meta charset={}></head><body><p>Grüße für 5 €</p></body></html>"
    for declared, real in (("utf-8", "cp1252"), ("iso-8859-1", "utf-8"), ("shift_jis", "utf-8"), ("nonsense", "utf-8")):
        extract = read_bytes("a.html", page.format(declared).encode(real))
        assert extract.text == "Grüße für 5 €", declared
    windows = read_bytes("a.html", page.format("iso-8859-1").encode("cp1252"))
    assert windows.text == "Grüße für 5 €"


def test_mixed_utf8_is_repaired() -> None:
    data = ("Grüße " * 20).encode() + "Köln".encode("cp1252")
    extract = read_bytes("a.txt", data)
    assert extract.text.endswith("Köln")
    assert "not utf-8" in extract.warnings[0]


def test_control_and_invisible_characters_go() -> None:
    extract = read_bytes(
        "a.txt", "a\x00b\x07 one\u200btwo \u202eevil\u202c \U000e0041 x\u200dy می\u200cشود 👩\u200d💻\r\nz".encode()
    )
    assert extract.text == "ab onetwo evil  xy می\u200cشود 👩\u200d💻\nz"
    assert "invisible" in extract.warnings[0]


HTML = """<!doctype html><html lang=en><head><title>Returns | Shop</title><meta name=date content=2026-03-01>
<style>.gone{display:none} .pale{color:#fefefe}</style><script>bad()</script></head><body>
<nav><a>Home</a></nav><header>Shop logo</header><main>
<h1>Returns</h1><p>Send it <b>back</b> within<br>45 days. 10<sup>6</sup> H<sub>2</sub>O</p><!-- secret -->
<p hidden>secret</p><p class="gone x">secret</p><span style="font-size:0">secret</span>
<div style="DISPLAY : none">secret</div>
<p class=pale>secret</p><p style="color:white">secret</p><font color="#ffffff">secret</font>
<p style="color:white;background:#000">shown white</p>
<h2>Table</h2><table><tr><th>Item<th>Days</tr><tr><td rowspan=2>Laptop<td>45</tr><tr><td>46</tr></table>
<ul><li>one<ul><li>inner</ul><li>two</ul><ol start=3><li>three</ol><pre>x = 1
  y</pre></main><footer>Imprint</footer></body></html>"""


def test_html_keeps_what_a_person_reads() -> None:
    extract = read_bytes("a.html", HTML.encode())
    assert (extract.title, extract.metadata["date"]) == ("Returns | Shop", "2026-03-01")
    for gone in ("secret", "bad()", "Home", "Imprint", "Shop logo"):
        assert gone not in extract.text
    assert "Send it back within\n45 days. 10^6 H2O" in extract.text
    assert "shown white" in extract.text
    text, place, kind, header = span_of(extract, "Laptop | 46")
    assert (place.heading, kind, header) == (("Returns", "Table"), "table", "Item | Days")
    assert text.startswith("Item | Days\nLaptop | 45\nLaptop | 46")
    assert "- one\n  - inner\n- two\n3. three" in extract.text
    assert span_of(extract, "x = 1\n  y")[2] == "code"
    assert any("hidden" in warning for warning in extract.warnings)


def test_html_tables_laid_out_with_spare_cells_are_plain_rows() -> None:
    page = """<table><tr><td colspan=5>Sales</td></tr><tr><th>Item<th><th colspan=2>2026<th></tr>
    <tr><td>Laptops<td><td>$<td>1,200<td></tr><tr><td>Phones<td><td>(<td>12<td>)</tr></table>"""
    extract = read_bytes("a.html", page.encode())
    assert extract.text == "Sales\n\nItem | 2026 | 2026\nLaptops |  | $1,200\nPhones |  | (12)"
    assert extract.spans[1].header == "Item | 2026 | 2026"


def test_a_page_that_is_all_navigation_is_kept() -> None:
    assert "Home" in read_bytes("a.html", b"<html><body><nav>Home, About, Contact</nav><p>x</p></body></html>").text


def test_content_beats_the_name() -> None:
    assert read_bytes("page.md", b"<!DOCTYPE html><html><body><p>hello</p></body></html>").media_type == "text/html"
    assert read_bytes("a.doc", b"{\\rtf1 hello}").media_type == "application/rtf"


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.txt", b"", ReadProblem.EMPTY),
        ("a.txt", b" \n\x00\xe2\x80\x8b ", ReadProblem.EMPTY),
        ("a.png", b"\x89PNG\r\n\x1a\n....", ReadProblem.NO_TEXT),
        ("a.txt", b"\xff\xd8\xff\xe0....", ReadProblem.NO_TEXT),
        ("a.bin", bytes(range(256)) * 4, ReadProblem.UNSUPPORTED),
        ("a.pdf", b"just words", ReadProblem.DAMAGED),
        ("a.docx", b"PK\x03\x04 cut off", ReadProblem.DAMAGED),
        ("a.pdf", b"%PDF-1.7 and nothing", ReadProblem.DAMAGED),
        ("a.doc", bytes.fromhex("d0cf11e0a1b11ae1") + "WordDocument".encode("utf-16-le"), ReadProblem.LEGACY),
        ("a.ppt", bytes.fromhex("d0cf11e0a1b11ae1") + "PowerPoint Document".encode("utf-16-le"), ReadProblem.LEGACY),
        ("a.docx", bytes.fromhex("d0cf11e0a1b11ae1") + "EncryptedPackage".encode("utf-16-le"), ReadProblem.ENCRYPTED),
        ("a.eml", b"", ReadProblem.EMPTY),
    ],
)
def test_each_refusal_has_its_reason(name: str, data: bytes, reason: ReadProblem) -> None:
    with pytest.raises(UnreadableFile) as caught:
        read_bytes(name, data)
    assert caught.value.reason == reason


def test_a_legacy_refusal_names_the_conversion() -> None:
    with pytest.raises(UnreadableFile, match="soffice --headless --convert-to docx"):
        read_bytes("a.doc", bytes.fromhex("d0cf11e0a1b11ae1") + "WordDocument".encode("utf-16-le"))
