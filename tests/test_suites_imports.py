"""Other people's formats become suites, and what is wrong with a file is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from knowhow.errors import NotFound, UsageProblem
from knowhow.suites import import_suite
from knowhow.types import Evidence, Message, Split

CONTEXT = "Laptops come back within 45 days. Phones within 30 days."


def squad(tmp_path: Path, *questions: dict[str, Any]) -> Path:
    path = tmp_path / "squad.json"
    article = {"title": "Return_policy", "paragraphs": [{"context": CONTEXT, "qas": list(questions)}]}
    path.write_text(json.dumps({"version": "v2.0", "data": [article]}))
    return path


def test_squad_gives_facts_the_sentence_as_evidence_and_the_paragraph_as_document(tmp_path: Path) -> None:
    answers = [{"text": "45 days", "answer_start": 25}, {"text": "45", "answer_start": 25}]
    path = squad(
        tmp_path,
        {"id": "1", "question": "How long?", "answers": answers},
        {"id": "2", "question": "Who?", "is_impossible": True, "answers": []},
        {"id": "3", "question": "Phones?", "answers": [{"text": "30 days", "answer_start": 0}]},
        {"id": "4", "question": "Hidden", "answers": []},
    )
    imported = import_suite(path)
    one, two, three, four = imported.suite.examples
    assert one.expect.facts == (("45 days", "45"),)
    assert one.expect.evidence == (Evidence("Return_policy/0", "Laptops come back within 45 days."),)
    assert one.expect.abstain is False
    assert {example.group for example in imported.suite.examples} == {"Return_policy"}
    assert two.expect.abstain is True
    assert not two.expect.facts
    assert three.expect.evidence[0].quote == "Phones within 30 days.", "a wrong answer_start is mended"
    assert four.expect.abstain is None, "a hidden answer is not an unanswerable question"
    assert imported.documents == ({"_id": "Return_policy/0", "title": "Return policy", "text": CONTEXT},)


def beir(tmp_path: Path) -> Path:
    (tmp_path / "qrels").mkdir()
    queries = [{"_id": "q1", "text": "wings"}, {"_id": "q2", "text": "heat"}, {"_id": "q3", "text": "none"}]
    (tmp_path / "queries.jsonl").write_text("\n".join(json.dumps(query) for query in queries))
    (tmp_path / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq1\td3\t1\nqx\td1\t1\n"
    )
    (tmp_path / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq2\td9\t1\n")
    (tmp_path / "qrels" / "raw.tsv").write_text("ignored, for it is no split\n")
    return tmp_path


def test_a_beir_folder_gives_graded_evidence_and_splits(tmp_path: Path) -> None:
    suite = import_suite(beir(tmp_path)).suite
    one, two = suite.examples
    assert (one.id, one.split, one.group) == ("q1", Split.TEST, "q1")
    assert one.expect.evidence == (Evidence("d1", relevance=2), Evidence("d3"))
    assert one.expect.evidence_needed == "any"
    assert (two.id, two.split) == ("q2", Split.TRAIN)
    assert any("1 queries have no relevant document" in note for note in suite.notes)
    assert any("1 judged queries are not in queries.jsonl" in note for note in suite.notes)


@pytest.mark.parametrize("head", ["text,label", "Text,Label,", "text,category", "label,text"])
def test_csv_gives_inputs_and_all_labels(tmp_path: Path, head: str) -> None:
    path = tmp_path / "intents.csv"
    cells = {"text": '"lost, my card"', "label": "lost_card", "category": "lost_card", "": "x"}
    second = cells | {"text": "refund?", "label": "refund", "category": "refund"}
    rows = [head] + [",".join(row[name] for name in head.lower().split(",")) for row in (cells, second)]
    path.write_text("\n".join(rows) + "\n")
    one, two = import_suite(path).suite.examples
    assert (one.id, one.input, one.expect.label) == ("line-2", "lost, my card", "lost_card")
    assert two.expect.labels == ("lost_card", "refund")


def test_chat_lines_give_a_conversation_and_its_reference(tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
    ]
    path.write_text("\n" + json.dumps({"messages": turns}) + "\n")
    (example,) = import_suite(path).suite.examples
    assert example.messages == (Message("system", "Be brief."), Message("user", "Hi"))
    assert example.expect.reference == "Hello."


def test_our_own_lines_are_not_taken_for_chat(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({"id": "a", "messages": [{"role": "user", "content": "Hi"}]}))
    assert import_suite(path).suite.examples[0].id == "a"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "is no JSON"),
        ("a.json", "[]", 'no list under "data"'),
        ("a.json", '{"data": [{"title": "x"}]}', "article 1 has no 'paragraphs'"),
        ("a.json", '{"data": []}', "holds no examples"),
        ("a.csv", "", "needs the columns text and label; its header is empty"),
        ("a.csv", "a,b\n1,2\n", "its header is a, b"),
        ("a.csv", "text,label\nx\n", "line 2: has no text or not 2 cells"),
        ("a.csv", "text,label\n", "holds no examples"),
        ("a.jsonl", '{"messages": []}', "`messages` must be a list of turns"),
        ("a.jsonl", '{"messages": [{"role": "user", "content": "x"}]}\n{"m": 1}', "line 2: has no `messages`"),
    ],
)
def test_a_broken_file_says_what_is_wrong(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageProblem, match=message):
        import_suite(tmp_path / name)


def test_a_folder_that_is_no_beir_a_bad_score_twin_ids_and_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="is no BEIR folder"):
        import_suite(tmp_path)
    folder = beir(tmp_path)
    (folder / "qrels" / "test.tsv").write_text("q\td\t1\nq1\td1\thigh\n")
    with pytest.raises(UsageProblem, match="line 2: must be query-id"):
        import_suite(folder)
    qa = {"id": "1", "question": "?", "answers": []}
    with pytest.raises(UsageProblem, match='two examples with the id "1"'):
        import_suite(squad(tmp_path, qa, qa))
    with pytest.raises(NotFound):
        import_suite(tmp_path / "absent")


@pytest.mark.data
def test_real_files_are_read_whole(data: Path) -> None:
    counts = {
        name: len(import_suite(data / name).suite.examples)
        for name in (
            "xquad/xquad.en.json",
            "policyqa/data/dev.json",
            "scifact",
            "cranfield",
            "banking77/test.csv",
        )
    }
    assert counts == {
        "xquad/xquad.en.json": 1190,
        "policyqa/data/dev.json": 3809,
        "scifact": 809 + 300,
        "cranfield": 225,
        "banking77/test.csv": 3080,
    }
