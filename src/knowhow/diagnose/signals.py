"""What is known of a failed case without asking any model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from knowhow.answer.trace import KIND, Trace
from knowhow.diagnose.case import Case, Lab, failures
from knowhow.diagnose.evidence import DEPTH, LONGEST, ORDER, Piece, Reached
from knowhow.diagnose.versions import Other, others, replaced
from knowhow.evaluate.statements import Mention, mention
from knowhow.types import EVERYTHING, Check, Expect, Form, Json, Range, Recipe, Signals

_WORDS = re.compile(r"[^\W_]+")


class Signal(StrEnum):
    """The names of the findings; each says which values it takes."""

    FAILED = "failed"
    """The checks that failed, joined with "+", e.g. "content+format"."""
    EVIDENCE = "evidence"
    """How far the evidence came: a value of `Reached`."""
    CUT_BY = "cut-by"
    """What kept evidence that was found from being shown: a value of `Fate`; "none" where it was shown or not found."""
    GOLD = "gold"
    """Whether the evidence states the facts expected: "stated", "not-stated", or "unknown" without facts or text."""
    VERSIONS = "versions"
    """Of what was shown or found: "one", "several" (superseded documents), "conflicting" (they disagree)."""
    SAID = "said"
    """"superseded" where the answer says what only a superseded version says, else "no"."""
    FORBIDDEN = "forbidden"
    """"said" where a forbidden statement is in the answer, else "no"."""
    ABSTAINED = "abstained"
    """"wrongly" (declined), "not" (answered what it should have declined), "no"."""
    DECLINE = "decline"
    """Why it declined: a value of `Decline`, else "none"."""
    TRUNCATED = "truncated"
    """"reply" (ended by its length), "evidence" (a passage with evidence was cut by the budget), else "no"."""
    FORM = "form"
    """What the recipe does about the form expected: "none" expected, "untold", "told", "enforced"."""
    SCHEMA = "schema"
    """"valid", "invalid", or "none" where no schema is expected."""
    LABEL = "label"
    """"known" (one of the labels), "unknown", or "none" where no label is expected."""
    ASKS = "asks"
    """What of the behaviour the example expects: "format", "label", "style", "reasoning", joined with "+"."""
    RULES = "rules"
    """"told" where the recipe's instructions or worked examples name every decision the rules can lead to, else
    "untold"; "none" where no rules are expected to be followed."""
    SAMPLING = "sampling"
    """Whether the model draws freely: "drawn" above temperature 0, else "fixed"."""
    DRAWS = "draws"
    """Of the logged draws: "one", "all-fail", "mixed"."""


def signals(case: Case, lab: Lab) -> Signals:
    """Every finding that costs no model call; all names of `Signal` are always there.

    `details` holds what a person reads: each piece of evidence with its rank and the depth searched, the versions that
    say otherwise, and how far the logged draws agree.
    """
    versions, gone = others(case, lab), replaced(case, lab)
    trace = _trace(case, lab)
    reached = _reached(case)
    findings = {
        Signal.FAILED: "+".join(case.failed),
        Signal.EVIDENCE: reached.value,
        Signal.CUT_BY: _cut_by(case, reached),
        Signal.GOLD: _gold(case),
        Signal.VERSIONS: "conflicting" if versions else "several" if gone else "one",
        Signal.SAID: "superseded" if _followed(case, versions) else "no",
        Signal.FORBIDDEN: _forbidden(case),
        Signal.ABSTAINED: _abstained(case),
        Signal.DECLINE: (trace.reason if trace else "") or "none",
        Signal.TRUNCATED: _truncated(case, trace),
        Signal.FORM: _form(case, lab),
        Signal.SCHEMA: _schema(case),
        Signal.LABEL: _label(case),
        Signal.ASKS: _asks(case.example.expect),
        Signal.RULES: _rules(case, lab),
        Signal.SAMPLING: "drawn" if case.recipe.sampling.temperature > 0 else "fixed",
        Signal.DRAWS: _draws(case),
    }
    return Signals({name.value: value for name, value in findings.items()}, _details(case, versions, gone))


def _reached(case: Case) -> Reached:
    """How far what is needed came: the piece that came least far, or the furthest where any one will do."""
    came = [ORDER.index(piece.reached) for piece in case.found.pieces]
    if not came:
        return Reached.UNNAMED
    return ORDER[max(came) if case.example.expect.evidence_needed == "any" else min(came)]


def _cut_by(case: Case, reached: Reached) -> str:
    if reached is not Reached.CANDIDATE:
        return "none"
    return next((piece.fate.value for piece in case.found.pieces if piece.reached is reached and piece.fate), "none")


def _gold(case: Case) -> str:
    """Whether the evidence, all pieces together, states the facts; evidence only an earlier version holds does not."""
    expect = case.example.expect
    if any(piece.outdated for piece in case.found.pieces):
        return "not-stated"
    if not expect.facts or not case.found.gold or len(case.found.gold) < len({p.evidence for p in case.found.pieces}):
        return "unknown"
    text = "\n".join(hit.text for hit in case.found.gold)
    told = all(any(mention(text, one) is Mention.STATED for one in fact) for fact in expect.facts if not _bare(fact))
    return "stated" if told else "not-stated"


def _bare(fact: Sequence[str]) -> bool:
    """Whether it is a yes or no, which no document has to say as such."""
    return any(one.strip().casefold() in ("yes", "no", "true", "false") for one in fact)


def _followed(case: Case, versions: Sequence[Other]) -> bool:
    return Check.CONTENT in case.failed and any(one.followed for one in versions)


def _forbidden(case: Case) -> str:
    said = any(mention(row.answer, one) is Mention.STATED for row in case.rows for one in case.example.expect.forbidden)
    return "said" if said else "no"


def _abstained(case: Case) -> str:
    if Check.ABSTENTION not in case.failed:
        return "no"
    return "not" if case.example.expect.abstain else "wrongly"


def _truncated(case: Case, trace: Trace | None) -> str:
    if trace is not None and trace.finish == "length":
        return "reply"
    places = [place for piece in case.found.pieces for place in piece.ranges]
    cut = [row for row in trace.shown if row["cut"]] if trace else []
    ends = [Range(row["uri"], row["version"], row["start"], row["end"]) for row in cut]
    hurt = any(_cut_inside(place, shown) for place in places for shown in ends)
    return "evidence" if hurt else "no"


def _cut_inside(place: Range, shown: Range) -> bool:
    """Whether what was shown ends within the place, or short of it in the same passage."""
    same = (place.uri, place.version) == (shown.uri, shown.version)
    return same and shown.start <= place.start and shown.end < place.end <= shown.end + LONGEST


def _form(case: Case, lab: Lab) -> str:
    expect, recipe = case.example.expect, case.recipe
    if expect.schema is None and not expect.labels and expect.style is None:
        return "none"
    if recipe.schema is not None or (recipe.form is Form.CONSTRAINED and (expect.schema or expect.labels)):
        return "enforced"
    return "told" if recipe.form is not Form.FREE or _in_words(lab.fitted(recipe, case.example), expect) else "untold"


def _in_words(recipe: Recipe, expect: Expect) -> bool:
    """Whether the recipe's own instructions or worked examples show every label, or name every field, wanted."""
    text = " ".join([recipe.instructions, *(example.output for example in recipe.examples)]).casefold()
    wanted = [*expect.labels, *((expect.schema or {}).get("properties") or {})]
    return bool(wanted) and all(one.casefold() in text for one in wanted)


def _schema(case: Case) -> str:
    if case.example.expect.schema is None:
        return "none"
    return "invalid" if Check.FORMAT in case.failed else "valid"


def _label(case: Case) -> str:
    expect = case.example.expect
    if expect.label is None:
        return "none"
    said = " ".join(_WORDS.findall(case.row.answer.casefold()))
    named = {" ".join(_WORDS.findall(one.casefold())) for one in (*expect.labels, expect.label)}
    return "known" if said in named else "unknown"


def _asks(expect: Expect) -> str:
    asked = {
        Check.FORMAT: expect.schema is not None or bool(expect.fields),
        Check.LABEL: expect.label is not None,
        Check.STYLE: expect.style is not None,
        Check.REASONING: expect.reasoning is not None,
    }
    return "+".join(check.value for check, wanted in asked.items() if wanted)


def _rules(case: Case, lab: Lab) -> str:
    table = case.example.expect.reasoning
    if table is None:
        return "none"
    fitted = lab.fitted(case.recipe, case.example)
    text = " ".join([fitted.instructions, *(example.output for example in fitted.examples)]).casefold()
    wanted = {str(value).casefold() for rule in table.rules for value in rule.then.values()}
    return "told" if wanted <= set(_WORDS.findall(text)) else "untold"


def _draws(case: Case) -> str:
    asked = [row for row in case.rows if not row.failure]
    if len(asked) < 2:
        return "one"
    return "all-fail" if all(failures(row) for row in asked) else "mixed"


def _trace(case: Case, lab: Lab) -> Trace | None:
    record = lab.setup.records.get(KIND, case.row.trace_id, frozenset({EVERYTHING})) if case.row.trace_id else None
    return Trace.from_json(record.body) if record else None


# --- for a person -----------------------------------------------------------------------------------------


def _details(case: Case, versions: Sequence[Other], gone: Sequence[str]) -> Json:
    asked = [row for row in case.rows if not row.failure]
    return {
        "evidence": [_piece(piece) for piece in case.found.pieces],
        "assumed": case.found.assumed,
        "depth": DEPTH,
        "superseded": [_version(one) for one in versions],
        "replaced": list(gone),
        "draws": {"asked": len(asked), "failed": sum(1 for row in asked if failures(row))},
        "failed": {check.value: case.row.verdicts[check].reason for check in failures(case.row)},
    }


def _piece(piece: Piece) -> Json:
    quote = piece.evidence.quote
    return {
        "uri": piece.evidence.source,
        "quote": quote if len(quote) <= 120 else quote[:119] + "…",
        "reached": piece.reached.value,
        "rank": piece.rank,
        "cut_by": piece.fate.value if piece.fate else None,
        "outdated_version": piece.outdated or None,
    }


def _version(one: Other) -> Json:
    return {
        "uri": one.hit.uri,
        "version": one.hit.version,
        "effective_at": one.hit.effective_at,
        "start": one.hit.start,
        "end": one.hit.end,
        "says": one.says,
        "newer": one.newer,
        "why": one.why,
        "followed": one.followed,
    }
