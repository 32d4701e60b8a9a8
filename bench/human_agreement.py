"""How checks without a model agree with people, beside people with each other: `python bench/human_agreement.py DATA`.

DATA is the folder with the larger data sets beside the repository. Writes docs/results/human-agreement.md. Margins
are chosen on the odd examples and everything is reported on the even ones.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from knowhow.answer.sentences import sentences
from knowhow.answer.verify import check
from knowhow.evaluate.knowledge import grounded
from knowhow.evaluate.squad import f1, normalized
from knowhow.types import Answer, Support, Usage

OUT = Path(__file__).parent.parent / "docs" / "results" / "human-agreement.md"
Scorer = Callable[[str, str], float]


# --- what a text gets without a model ---------------------------------------------------------------------


def token_f1(text: str, reference: str) -> float:
    return f1(text, [reference])


def token_recall(text: str, reference: str) -> float:
    """Share of the reference's words that the text has."""
    have, wanted = set(normalized(text).split()), set(normalized(reference).split())
    return len(have & wanted) / len(wanted) if wanted else 1.0


def claims_covered(text: str, reference: str) -> float:
    """Mean over the reference's sentences of the share of telling words that the text holds."""
    found = [check(reference[unit.start : unit.end], text) for unit in sentences(reference)]
    scores = [one.score for one in found if one.support is not Support.UNCHECKED]
    return float(np.mean(scores)) if scores else 1.0


def claims_borne_out(text: str, reference: str) -> float:
    """Share of the text's sentences that the reference bears out: numbers, names, negation and words."""
    return supported(text, [reference])


def supported(text: str, passages: Sequence[str]) -> float:
    """`grounded` with the passages as the corpus; 1 where it has nothing to check."""

    def support(claim: str) -> tuple[Support, str]:
        outcomes = {check(claim, passage).support for passage in passages}
        best = next((one for one in (Support.YES, Support.NO) if one in outcomes), Support.UNCHECKED)
        return best, ""

    answer = Answer(text, False, None, "", (), (), (), "", "", Usage(), {})
    return dict(grounded(answer, support).measures).get("supported", 1.0)


def words(text: str, _: str) -> float:
    """Length alone, which people often follow; a check must beat it."""
    return float(len(text.split()))


SCORERS: dict[str, Scorer] = {
    "token F1": token_f1,
    "token recall": token_recall,
    "reference sentences covered": claims_covered,
    "answer sentences borne out": claims_borne_out,
    "length in words": words,
}


# --- agreement --------------------------------------------------------------------------------------------


def ranks(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    _, inverse, counts = np.unique(array, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def spearman(left: Sequence[float], right: Sequence[float]) -> float:
    return float(np.corrcoef(ranks(left), ranks(right))[0, 1])


def auc(scores: Sequence[float], good: Sequence[bool]) -> float:
    """Probability that a good answer scores above a bad one, ties half."""
    above = [s for s, g in zip(scores, good, strict=True) if g]
    below = [s for s, g in zip(scores, good, strict=True) if not g]
    return float(np.mean([(a > b) + 0.5 * (a == b) for a in above for b in below]))


def signs(differences: Sequence[float], margin: float) -> np.ndarray:
    array = np.asarray(differences)
    return np.where(np.abs(array) <= margin, 0, np.sign(array))


def ragchecker(data: Path) -> str:
    """Pairs of answers with two annotators' preferences, −2 (first) … 2 (second)."""
    path = data / "ragchecker_meta_eval" / "data" / "meta_evaluation" / "human_labeled_data.json"
    by_pair: dict[int, list[dict[str, Any]]] = {}
    for record in json.loads(path.read_text()):
        by_pair.setdefault(record["instance_id"], []).append(record)
    pairs = [by_pair[key] for key in sorted(by_pair)]
    assert all(len(pair) == 2 for pair in pairs)
    differences = {
        name: [
            scorer(a["model2"]["response"], a["gt_answer"]) - scorer(a["model1"]["response"], a["gt_answer"])
            for a, _ in pairs
        ]
        for name, scorer in SCORERS.items()
    }
    lines = ["| | correctness: sign | rank | completeness: sign | rank | overall: sign | rank |", "|---|" + "---|" * 6]
    odd, even = np.arange(1, len(pairs), 2), np.arange(0, len(pairs), 2)
    rows: dict[str, list[str]] = {"two people": [], **{name: [] for name in SCORERS}}
    for aspect in ("correctness_label", "completeness_label", "overall_label"):
        people = np.array([[record[aspect] for record in pair] for pair in pairs], dtype=float)
        same = np.mean(np.sign(people[even, 0]) == np.sign(people[even, 1]))
        rows["two people"] += [f"{100 * same:.0f}%", f"{spearman(people[even, 0], people[even, 1]):.2f}"]
        for name, found in differences.items():
            array = np.array(found)
            margins = np.quantile(np.abs(array), np.linspace(0, 0.8, 17))
            best = max(margins, key=lambda m: _agree(signs(array[odd], m), people[odd]))
            agreed = _agree(signs(array[even], best), people[even])
            rank = np.mean([spearman(array[even], people[even, i]) for i in (0, 1)])
            rows[name] += [f"{100 * agreed:.0f}%", f"{rank:.2f}"]
    return "\n".join(lines + [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items()])


def _agree(mine: np.ndarray, people: np.ndarray) -> float:
    return float(np.mean([np.mean(mine == np.sign(people[:, i])) for i in (0, 1)]))


def mtrag(data: Path) -> str:
    """Answers to multi-turn questions, rated 1-4 by three people; a scorer meets the same two others a person does."""
    path = data / "mtrag_human" / "mtrag-human" / "evaluations" / "reference_subset_with_human_evaluations.json"
    body = json.loads(path.read_text())
    texts = {one["document_id"]: one["text"] for one in body["documents"]}
    tasks = {one["task_id"]: one for one in body["tasks"]}
    models = [one for one in body["evaluations"] if one["model_id"] != "reference"]
    passages = [[texts[c["document_id"]] for c in tasks[one["task_id"]]["contexts"]] for one in models]
    targets = [tasks[one["task_id"]]["targets"][0]["text"] for one in models]
    replies = [one["model_response"] for one in models]
    aspects = {
        "faithfulness": {
            "grounded (share of sentences)": [supported(r, p) for r, p in zip(replies, passages, strict=True)]
        },
        "completeness": {
            name: [scorer(r, t) for r, t in zip(replies, targets, strict=True)] for name, scorer in SCORERS.items()
        },
        "appropriateness": {"token F1": [token_f1(r, t) for r, t in zip(replies, targets, strict=True)]},
    }
    lines = ["| aspect | | rank agreement with two people | AUC for a mean below 3.5 |", "|---|---|---|---|"]
    for aspect, scorers in aspects.items():
        votes = [[float(vote["value"]) for vote in one["annotations"][aspect].values()] for one in models]
        whole = [i for i, vote in enumerate(votes) if len(vote) == 3]
        people = np.array([votes[i] for i in whole])
        others = [people[:, [j for j in range(3) if j != i]].mean(axis=1) for i in range(3)]
        alone = np.mean([spearman(people[:, i], others[i]) for i in range(3)])
        good = [[rest >= 3.5 for rest in others[i]] for i in range(3)]
        one_person = np.mean([auc(people[:, i], good[i]) for i in range(3)])
        lines.append(f"| {aspect} (n={len(whole)}) | a third person | {alone:.2f} | {one_person:.2f} |")
        for name, scores in scorers.items():
            kept = [scores[i] for i in whole]
            rank = np.mean([spearman(kept, others[i]) for i in range(3)])
            found = np.mean([auc(kept, good[i]) for i in range(3)])
            lines.append(f"| | {name} | {rank:.2f} | {found:.2f} |")
    return "\n".join(lines)


TEXT = """# Checks without a model, beside people

`python bench/human_agreement.py DATA` makes this page.

## Which of two answers is better (ragchecker_meta_eval)

280 pairs, two people each. *Sign* is how often the preference is the same (first, neither, second), *rank* is
Spearman's correlation. A scorer is compared with each person and averaged; the margin within which it calls a draw is
chosen on the odd pairs, everything is reported on the 140 even ones.

{ragchecker}

## How good is one answer (mtrag_human)

Answers of two models, three people each, the reference answers left out. Each line is compared with the mean of two
people, three times, and averaged, so that a check meets exactly what a third person meets. AUC: the chance that an
answer that the two rate 3.5 or more scores above one they rate lower.

{mtrag}

## What follows

People agree with each other only in part, so no check can do much better than the first line of each table. Word
overlap with a reference comes near a second person on completeness and stays well below on correctness: `content`
therefore decides by facts, which are right or wrong, and reports `f1` beside the verdict without letting it decide.
Where only a reference is given, `content` stays unmeasured until a judge has been measured against people. `grounded`
tells faithful answers from others better than chance and less well than a person; a verifier model narrows that.
"""


def main() -> None:
    data = Path(sys.argv[1])
    OUT.write_text(TEXT.format(ragchecker=ragchecker(data), mtrag=mtrag(data)), encoding="utf-8")


if __name__ == "__main__":
    main()
