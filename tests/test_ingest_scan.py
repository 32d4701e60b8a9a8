"""What a sync finds, and which named source a target stands for."""

from __future__ import annotations

import json
import os
import socket
import sys
import unicodedata
from pathlib import Path

import pytest

from knowhow.errors import UnreadableFile, UsageProblem
from knowhow.ingest.corpus import read_line, scan_corpus
from knowhow.ingest.scan import scan_files, scan_folder
from knowhow.ingest.sources import Target, resolve_targets
from knowhow.ports import Source


def write(path: Path, text: str = "text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def uris(root: Path, prefix: str = "") -> list[str]:
    return [found.uri for found in scan_folder(root, prefix).found]


def test_a_folder_gives_its_files_by_relative_path_in_one_order(tmp_path: Path) -> None:
    for name in ("b.md", "a/z.md", "a/b/c.md", "Ä.md"):
        write(tmp_path / name)
    assert sorted(uris(tmp_path)) == sorted(["b.md", "a/z.md", "a/b/c.md", "Ä.md"])
    assert uris(tmp_path, "own/")[0].startswith("own/")


def test_hidden_scratch_and_ignored_files_are_left_out(tmp_path: Path) -> None:
    for name in (".git/x.md", ".env", "node_modules/a/readme.md", "~$plan.docx", "plan.docx~", "#plan#", "Thumbs.db"):
        write(tmp_path / name)
    write(tmp_path / "drafts/a.md")
    write(tmp_path / "drafts/keep.md")
    write(tmp_path / "a.log")
    write(tmp_path / "#1 rule.md")
    write(tmp_path / ".knowhowignore", "*.log\ndrafts/*\n!drafts/keep.md\n")
    assert sorted(uris(tmp_path)) == ["#1 rule.md", "drafts/keep.md"]


def test_one_name_in_two_unicode_forms_is_one_uri_and_a_failure(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        write(tmp_path / unicodedata.normalize(form, "Übersicht.md"))
    scan = scan_folder(tmp_path, "")
    assert [found.uri for found in scan.found] == [unicodedata.normalize("NFC", "Übersicht.md")]
    assert len(scan.failed) == 1
    assert "rename" in scan.failed[0].detail


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_no_text_still_have_a_uri_that_can_be_stored_and_opened(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\n.md")).write_text("text")
    (found,) = scan_folder(tmp_path, "").found
    assert found.uri == "caf\\xe9\\x0a.md"
    assert found.uri.encode()
    assert Path(found.path).read_text() == "text"


def test_links_are_followed_to_files_inside_only(tmp_path: Path) -> None:
    root = tmp_path / "docs"
    outside = write(tmp_path / "secret.md")
    write(root / "..data/a.md")
    (root / "a.md").symlink_to(root / "..data/a.md")
    (root / "out.md").symlink_to(outside)
    (root / "nowhere.md").symlink_to(root / "gone.md")
    (root / "loop").symlink_to(root)
    (root / "away").symlink_to(tmp_path)
    scan = scan_folder(root, "")
    assert [found.uri for found in scan.found] == ["a.md"]
    assert sorted(uri for uri, _ in scan.warnings) == ["away", "nowhere.md", "out.md"]


def test_pipes_and_sockets_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    with socket.socket(socket.AF_UNIX) as door:
        before = Path.cwd()
        os.chdir(tmp_path)
        try:
            door.bind("door.md")
        finally:
            os.chdir(before)
        scan = scan_folder(tmp_path, "")
    assert not scan.found
    assert len(scan.warnings) == 2


def test_what_cannot_be_looked_at_is_a_failure_and_neither_there_nor_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.md")
    write(tmp_path / "locked/b.md")
    real = os.scandir

    def locked(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", locked)
    scan = scan_folder(tmp_path, "own/")
    assert [found.uri for found in scan.found] == ["own/a.md"]
    assert [(failure.uri, failure.reason) for failure in scan.failed] == [("own/locked/", "unreadable")]
    assert not scan.saw("own/locked/b.md")
    assert scan.saw("own/lockedb.md")
    with pytest.raises(UsageProblem, match="Permission denied"):
        scan_folder(tmp_path / "locked", "")


def test_a_replacement_of_the_same_size_and_time_shows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.md", "30 days")
    os.utime(path, (1, 1))
    before = scan_folder(tmp_path, "").found[0]
    other = write(tmp_path / "b.md", "45 days")
    os.utime(other, (1, 1))
    other.replace(path)
    after = scan_folder(tmp_path, "").found[0]
    assert (before.uri, before.size) == (after.uri, after.size)
    assert before.changed_ns != after.changed_ns


def test_two_single_files_of_one_name_are_refused(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a/x.md"), write(tmp_path / "b/x.md")]
    with pytest.raises(UsageProblem, match="--as NAME"):
        scan_files(paths, "")


# --- corpus ----------------------------------------------------------------------------------------------


def test_bad_lines_of_a_corpus_keep_their_number(tmp_path: Path) -> None:
    lines = [
        '{"_id": "a", "title": "T", "text": "one", "metadata": {"tags": ["x", "y"], "deep": {"k": 1}, "none": null}}',
        "",
        "{broken",
        '{"title": "no id"}',
        '{"_id": 7, "text": ""}',
        '{"_id": "a", "text": "again"}',
        '{"_id": "t", "title": "Only a title", "text": ""}',
        '{"_id": "u", "text": ["no"]}',
        '{"_id": "s", "text": "lone \\ud800 half"}',
    ]
    path = write(tmp_path / "c.jsonl", "\n".join(lines))
    found = {item.uri: item for item in scan_corpus(path, "own/").found}
    bad = {uri: item.problem for uri, item in found.items() if item.problem}
    assert list(bad) == [f"own/c.jsonl:{line}" for line in (3, 4, 6, 8)]
    assert bad["own/c.jsonl:6"] == "line 6: _id 'a' was used before, in line 1"
    extract = read_line(found["own/a"])
    assert (extract.title, extract.text) == ("T", "one")
    assert dict(extract.metadata) == {"tags": "x, y", "deep": '{"k": 1}'}
    assert read_line(found["own/t"]).text == "Only a title"
    assert read_line(found["own/s"]).text == "lone ? half"
    with pytest.raises(UnreadableFile, match="neither"):
        read_line(found["own/7"])
    with pytest.raises(UnreadableFile, match="line 3"):
        read_line(found["own/c.jsonl:3"])


def test_equal_lines_have_equal_hashes_wherever_they_stand(tmp_path: Path) -> None:
    one, two = ({"_id": name, "text": name} for name in "ab")
    path = write(tmp_path / "c.jsonl", json.dumps(one) + "\n" + json.dumps(two) + "\n")
    before = {item.uri: item.content_hash for item in scan_corpus(path, "").found}
    write(path, "\n" + json.dumps(two) + "\n" + json.dumps(one) + "\n")
    assert before == {item.uri: item.content_hash for item in scan_corpus(path, "").found}


# --- sources ---------------------------------------------------------------------------------------------


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def resolve(*targets: Path, known: tuple[Source, ...] = (), name: str | None = None) -> list[Target]:
    return resolve_targets(targets, known, name=name)


def test_a_folder_is_named_after_itself_and_a_name_prefixes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = folder(tmp_path / "docs")
    assert resolve(docs) == [Target(Source("docs", str(docs)))]
    assert resolve(docs, name="shop") == [Target(Source("shop", str(docs), "shop/"))]
    monkeypatch.chdir(docs)
    assert resolve(Path(".")) == resolve(docs) == resolve(docs, docs / ".." / "docs")


def test_single_files_are_one_source(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one.md"), write(tmp_path / "two.md")
    assert resolve(one, two) == [Target(Source("files", "", "", "files"), (one, two))]


def test_a_known_root_keeps_its_name(tmp_path: Path) -> None:
    docs = folder(tmp_path / "docs")
    known = Source("shop", str(docs), "shop/", access=frozenset({"hr"}))
    assert resolve(docs, known=(known,)) == [Target(known)]
    with pytest.raises(UsageProblem, match="already source 'shop'"):
        resolve(docs, known=(known,), name="other")


def test_a_name_that_stands_for_another_root_is_refused_until_that_is_gone(tmp_path: Path) -> None:
    old, new = folder(tmp_path / "a/docs"), folder(tmp_path / "b/docs")
    known = Source("docs", str(old), rules="x = ['hr']")
    with pytest.raises(UsageProblem, match="--as NAME"):
        resolve(new, known=(known,))
    with pytest.raises(UsageProblem, match="already stands for"):
        resolve(old, new)
    old.rmdir()
    assert resolve(new, known=(known,)) == [Target(Source("docs", str(new), rules="x = ['hr']"))]


def test_a_known_root_that_vanished_is_still_a_target_and_an_unknown_one_is_not(tmp_path: Path) -> None:
    known = Source("docs", str(tmp_path / "docs"))
    assert resolve(tmp_path / "docs", known=(known,)) == [Target(known)]
    with pytest.raises(UsageProblem, match="there is no file or folder"):
        resolve(tmp_path / "other", known=(known,))


def test_the_same_files_are_not_taken_twice_unless_named(tmp_path: Path) -> None:
    docs, inner = folder(tmp_path / "docs"), folder(tmp_path / "docs/hr")
    for known, target in ((docs, inner), (inner, docs)):
        source = Source(known.name, str(known))
        with pytest.raises(UsageProblem, match="--as NAME"):
            resolve(target, known=(source,))
        assert resolve(target, known=(source,), name="copy")[0].source.prefix == "copy/"


def test_a_file_below_a_known_root_belongs_to_the_innermost_source(tmp_path: Path) -> None:
    file, other = write(tmp_path / "docs/hr/pay.md"), write(tmp_path / "docs/a.md")
    docs, inner = Source("docs", str(tmp_path / "docs")), Source("hr", str(tmp_path / "docs/hr"), "hr/")
    files = Source("files", "", "", "files")
    assert resolve(file, other, known=(docs,)) == [Target(docs, (file, other))]
    assert resolve(file, other, known=(docs, inner)) == [Target(inner, (file,)), Target(docs, (other,))]
    assert resolve(file, known=(docs,), name="copy") == [Target(Source("copy", "", "copy/", "files"), (file,))]
    assert resolve(file) == [Target(files, (file,))]
    assert resolve(tmp_path / "docs", file) == [Target(docs)]


@pytest.mark.parametrize("name", ["", "a/b", "..", "-x", "a\n", "/"])
def test_a_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageProblem, match="no name"):
        resolve(tmp_path, name=name)


def test_one_name_for_two_sources_and_no_target_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="--as both"):
        resolve(folder(tmp_path / "a"), folder(tmp_path / "b"), name="both")
    with pytest.raises(UsageProblem, match="nothing to ingest"):
        resolve()
