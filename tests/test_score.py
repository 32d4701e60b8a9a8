"""Scores of a diagnoser on verdicts made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from knowhow.diagnose.baselines import by_rules
from knowhow.diagnose.score import Said, Truth, read_truth, read_verdicts, said_json, score, truth_json
from knowhow.errors import UsageProblem
from knowhow.suites.jsonl import write_lines
from knowhow.types import Cause, Signals

MISSING, FORMAT, LOST, NONE = Cause.MISSING, Cause.FORMAT, Cause.LOST, Cause.UNDETERMINED
TRUTH = (
    Truth("a", ("deleted-document",), (MISSING,)),
    Truth("b", ("deleted-document",), (MISSING,)),
    Truth("c", ("schema-omitted",), (FORMAT,)),
    Truth("d", ("deleted-document", "schema-omitted"), (MISSING, FORMAT)),
)
SAID = (
    Said("a", (MISSING,), 0.9, 2),
    Said("b", (LOST,), 0.7, 4),
    Said("c", (NONE,), 0.4, 6, best=(FORMAT,)),
    Said("d", (FORMAT, MISSING), 0.8, 0),
)


def test_sets_must_be_equal_in_any_order_and_undetermined_is_wrong() -> None:
    found = score("hand", TRUTH, SAID)
    assert found.accuracy == 0.5
    assert found.low < 0.5 < found.high
    assert found.side == 0.75  # b is wrong, but on the right side
    assert found.undetermined == 0.25
    assert found.calls == 3.0
    assert found.confusion["knowledge.missing"] == {"knowledge.missing": 1, "knowledge.lost": 1}
    assert found.faults == {"deleted-document": (2, 1), "schema-omitted": (1, 0), "compound": (1, 1)}


def test_macro_f1_is_the_mean_over_planted_causes() -> None:
    found = {one.cause: one for one in score("hand", TRUTH, SAID).causes}
    assert set(found) == {MISSING, FORMAT}
    assert (found[MISSING].precision, found[MISSING].recall) == (1.0, pytest.approx(2 / 3))
    assert found[FORMAT].f1 == pytest.approx(2 / 3)
    assert score("hand", TRUTH, SAID).macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)


def test_calibration_holds_the_best_guess_against_its_confidence() -> None:
    # a 0.9 right, b 0.7 wrong, c 0.4 right as a guess, d 0.8 right
    assert score("hand", TRUTH, SAID).ece == pytest.approx((0.1 + 0.7 + 0.6 + 0.2) / 4)
    assert score("bare", TRUTH, [Said("a", (MISSING,))]).ece is None


def test_what_was_not_said_is_undetermined_and_no_case_is_a_clear_error() -> None:
    assert score("silent", TRUTH, []).undetermined == 1.0
    with pytest.raises(UsageProblem, match="no planted case"):
        score("none", [], SAID)


def test_files_of_cases_and_verdicts_are_read_back_and_bad_lines_named(tmp_path: Path) -> None:
    write_lines((truth_json(one) for one in TRUTH), tmp_path / "cases.jsonl")
    write_lines((said_json(one) for one in SAID), tmp_path / "said.jsonl")
    assert read_truth(tmp_path / "cases.jsonl") == list(TRUTH)
    assert score("x", TRUTH, read_verdicts(tmp_path / "said.jsonl")).accuracy == 0.5
    (tmp_path / "bad.jsonl").write_text(
        '{"id": "a", "causes": ["knowledge.missing"]}\n{"id": "b", "causes": ["bad"]}\n'
    )
    with pytest.raises(UsageProblem, match="line 2"):
        read_verdicts(tmp_path / "bad.jsonl")


@pytest.mark.parametrize(
    ("findings", "causes"),
    [
        ({"failed": "content", "evidence": "absent"}, {MISSING}),
        ({"failed": "content+format", "evidence": "absent", "form": "untold"}, {MISSING, FORMAT}),
        ({"failed": "content+format", "evidence": "in-context", "form": "untold"}, {FORMAT}),
        ({"failed": "content", "gold": "not-stated"}, {Cause.MEASUREMENT}),
        ({"failed": "content", "evidence": "in-context", "versions": "conflicting"}, {Cause.STALE}),
        ({"failed": "abstention", "abstained": "not"}, {Cause.REFUSAL}),
        ({"failed": "content", "evidence": "in-context", "abstained": "no"}, {Cause.UNUSED}),
        ({"failed": "content+reasoning", "evidence": "in-candidates"}, {Cause.OUTRANKED}),
    ],
)
def test_the_rules_read_off_the_findings(findings: dict[str, str], causes: set[Cause]) -> None:
    assert set(by_rules(Signals(findings))) == causes
