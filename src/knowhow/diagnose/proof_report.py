"""The report of a proof: ways side by side, the confusion of causes, confidence against accuracy, what survived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from knowhow.diagnose.proving import Proof
from knowhow.diagnose.score import Score
from knowhow.report import Section, Series, Table, lines, page, to_html, to_markdown
from knowhow.types import Json

Survival = Sequence[tuple[str, int, int, Mapping[str, int]]]
MAIN = "sequential"
"""The way that `diagnose` goes; its confusions are shown."""


def ways(scores: Sequence[Score], caption: str = "") -> Table:
    """One row per way of diagnosing."""
    head = ("way", "cases", "cause", "95%", "side", "macro-F1", "calibration error", "undetermined", "calls a case")
    rows = [
        (
            one.name,
            str(one.n),
            f"{one.accuracy:.3f}",
            f"{one.low:.3f}-{one.high:.3f}",
            f"{one.side:.3f}",
            f"{one.macro_f1:.3f}",
            "" if one.ece is None else f"{one.ece:.3f}",
            f"{100 * one.undetermined:.1f}%",
            f"{one.calls:.2f}",
        )
        for one in scores
    ]
    return Table(head, rows, frozenset(head[1:]), caption)


def confusion(found: Score) -> Table:
    """Planted against named; what is right, and every confusion that occurred, most frequent first."""
    rows = []
    for planted, said in sorted(found.confusion.items()):
        n = sum(said.values())
        wrong = sorted(((count, name) for name, count in said.items() if name != planted), reverse=True)
        told = "; ".join(f"{name} {count}" for count, name in wrong)
        rows.append((planted, str(n), str(said.get(planted, 0)), told))
    return Table(("planted", "cases", "right", "named instead"), rows, frozenset({"cases", "right"}))


def per_cause(found: Score) -> Table:
    """Precision, recall and F1 of every cause."""
    rows = [
        (one.cause.value, str(one.planted), f"{one.precision:.3f}", f"{one.recall:.3f}", f"{one.f1:.3f}")
        for one in found.causes
    ]
    return Table(
        ("cause", "planted", "precision", "recall", "F1"), rows, frozenset({"planted", "precision", "recall", "F1"})
    )


def survived(rows: Survival, found: Score | None = None) -> Table:
    """Per fault: how many were tried and kept, where the others fell, and how many of the kept were named rightly."""
    told = []
    for name, tried, kept, fell in rows:
        right = found.faults.get(name) if found else None
        falls = ", ".join(f"{step} {count}" for step, count in fell.items())
        told.append((name, str(tried), str(kept), falls, f"{right[1]}/{right[0]}" if right else ""))
    return Table(("fault", "tried", "kept", "fell", "named rightly"), told, frozenset({"tried", "kept"}))


def reliability(found: Score) -> Table:
    """Confidence against accuracy, per bin."""
    rows = [(f"{b.low:.1f}-{b.high:.1f}", str(b.n), f"{b.confidence:.3f}", f"{b.accuracy:.3f}") for b in found.bins]
    return Table(
        ("confidence", "cases", "mean confidence", "accuracy"),
        rows,
        frozenset({"cases", "mean confidence", "accuracy"}),
    )


def markdown(proof: Proof, survival: Survival, title: str) -> str:
    """The whole report."""
    main = next(one for one in proof.scores if one.name == MAIN)
    parts = [f"# {title}\n", to_markdown(ways(proof.scores))]
    if proof.on_ambiguous:
        parts += [
            f"Ambiguous cases: signals alone leave every cause below 0.8.\n\n{to_markdown(ways(proof.on_ambiguous))}"
        ]
    if proof.offending[0]:
        parts += [
            f"Superseded documents planted: {proof.offending[0]}; cause and document named: {proof.offending[1]}.\n"
        ]
    parts += [
        f"## Confusions ({MAIN})\n\n{to_markdown(confusion(main))}",
        f"## Causes\n\n{to_markdown(per_cause(main))}",
        f"## Confidence\n\n{to_markdown(reliability(main))}",
        f"## Survival of the flip filter\n\n{to_markdown(survived(survival, main))}",
    ]
    return "\n".join(parts)


def html(proof: Proof, survival: Survival, title: str) -> str:
    """The same as one page, with the reliability diagram."""
    main = next(one for one in proof.scores if one.name == MAIN)
    curves = [
        Series(one.name, [(b.confidence, b.accuracy) for b in one.bins])
        for one in proof.scores
        if one.bins and one.name in (MAIN, "pooled")
    ]
    diagram = lines(
        "Confidence against accuracy",
        [Series("exact", [(0.0, 0.0), (1.0, 1.0)]), *curves],
        x_label="confidence",
        y_label="accuracy",
    )
    sections = [
        Section("Ways of diagnosing", to_html(ways(proof.scores))),
        Section("Ambiguous cases", to_html(ways(proof.on_ambiguous)) if proof.on_ambiguous else ""),
        Section("Confusions", to_html(confusion(main))),
        Section("Causes", to_html(per_cause(main))),
        Section("Confidence against accuracy", diagram + to_html(reliability(main))),
        Section("Survival of the flip filter", to_html(survived(survival, main))),
    ]
    return page(title, sections)


def proof_json(proof: Proof, survival: Survival) -> Json:
    """All figures of a proof."""
    return {
        "model": proof.rates.model,
        "learned_from": proof.rates.cases,
        "scores": [score_json(one) for one in proof.scores],
        "ambiguous": [score_json(one) for one in proof.on_ambiguous],
        "superseded": {"planted": proof.offending[0], "named": proof.offending[1]},
        "faults": [
            {"fault": name, "tried": tried, "kept": kept, "fell": dict(fell)} for name, tried, kept, fell in survival
        ],
    }


def score_json(found: Score) -> Json:
    """All figures of one way."""
    return {
        "way": found.name,
        "n": found.n,
        "cause_accuracy": found.accuracy,
        "low": found.low,
        "high": found.high,
        "side_accuracy": found.side,
        "macro_f1": found.macro_f1,
        "calibration_error": found.ece,
        "undetermined": found.undetermined,
        "calls": found.calls,
        "causes": {
            one.cause.value: {"precision": one.precision, "recall": one.recall, "f1": one.f1} for one in found.causes
        },
        "bins": [{"confidence": b.confidence, "accuracy": b.accuracy, "n": b.n} for b in found.bins],
        "confusion": {name: dict(said) for name, said in found.confusion.items()},
        "faults": {name: {"cases": n, "right": right} for name, (n, right) in found.faults.items()},
    }
