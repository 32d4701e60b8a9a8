"""Checks of what an answer knows: retrieval, content, abstention, citation, grounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from knowhow.answer.sentences import sentences
from knowhow.evaluate.form import fields_f1, json_of, values_differ
from knowhow.evaluate.ranking import common, gains, ndcg, overlap, reached, recall, reciprocal_rank
from knowhow.evaluate.said import said, unmarked
from knowhow.evaluate.squad import exact_match, f1
from knowhow.evaluate.statements import Mention, mention
from knowhow.evaluate.verdicts import failed, passed, short, unmeasured
from knowhow.types import Answer, Expect, Located, Range, Support, Verdict


@dataclass(frozen=True, slots=True)
class Seen:
    """What one question brought up: hits in rank order, every candidate looked at, and what the model was shown."""

    ranked: tuple[Range, ...]
    candidates: tuple[Range, ...]
    shown: tuple[Range, ...]


def retrieval(expect: Expect, evidence: Sequence[Located], seen: Seen | None, k: int) -> Verdict:
    """Passes when the evidence that is needed reached the context.

    Measures `recall@k`, `ndcg@k`, `mrr`, and the share of evidence that reached `candidates` and `context`.
    """
    lost = _unlocated(expect, evidence)
    if lost:
        return unmeasured(lost)
    if seen is None:
        return unmeasured("this recipe searches nothing")
    known = [item for item in evidence if item.ranges]
    found = gains(known, seen.ranked)
    sources = {place.uri for item in known for place in item.ranges}
    candidates = [place for place in seen.candidates if place.uri in sources]
    measures = {
        f"recall@{k}": recall(known, seen.ranked, k),
        f"ndcg@{k}": ndcg(found, [item.evidence.relevance for item in known], k),
        "mrr": reciprocal_rank(found),
        "candidates": recall(known, candidates, len(candidates)),
        "context": recall(known, seen.shown, len(seen.shown)),
    }
    if _enough(expect, [reached(item, seen.shown) for item in known]):
        return passed("the evidence reached the context", measures)
    missing = next(item for item in known if not reached(item, seen.shown))
    if reached(missing, seen.ranked):
        how = "was found but not shown"
    elif reached(missing, candidates):
        how = "was a candidate but ranked too low"
    else:
        how = "was not among the candidates"
    return failed(f"{_named(missing)} {how}", measures)


def content(expect: Expect, answer: Answer) -> Verdict:
    """Passes when every fact is stated, nothing forbidden is, and every named field has its value.

    Measures `facts` (the share stated), `fields_f1` over the values of the fields, and `em` and `f1` where there is
    one answer to compare with.
    """
    if not (expect.facts or expect.forbidden or expect.fields or expect.reference):
        return unmeasured("nothing is said about the content")
    if expect.abstain and answer.abstained:
        return unmeasured("it was right to decline, so there is no content")
    measures = _overlap(expect, answer)
    if answer.abstained and (expect.facts or expect.fields):
        return failed("it declined to answer", measures | ({"facts": 0.0} if expect.facts else {}))
    text = said(answer)
    held = [_stated(text, fact) for fact in expect.facts]
    if held:
        measures["facts"] = sum(held) / len(held)
    wrong = [f'does not state "{fact[0]}"' for fact, there in zip(expect.facts, held, strict=True) if not there]
    wrong += [f'states "{one}"' for one in expect.forbidden if mention(text, one) is Mention.STATED]
    if expect.fields:
        measures["fields_f1"] = fields_f1(expect.fields, json_of(answer.text)[0])
    wrong += values_differ(expect.fields, json_of(answer.text)[0])
    if wrong:
        return failed("; ".join(wrong), measures)
    if not (expect.facts or expect.forbidden or expect.fields):
        return unmeasured("there is only a reference, which needs a judge", measures)
    reasons = [f"states {len(held)} of {len(held)} facts"] if held else []
    reasons += ["nothing forbidden"] if expect.forbidden else []
    reasons += [f"{len(expect.fields)} fields as expected"] if expect.fields else []
    return passed(", ".join(reasons), measures)


def _stated(text: str, alternatives: Sequence[str]) -> bool:
    return any(mention(text, alternative) is Mention.STATED for alternative in alternatives)


def _overlap(expect: Expect, answer: Answer) -> dict[str, float]:
    references = expect.facts[0] if len(expect.facts) == 1 else (expect.reference,) if expect.reference else ()
    if not references:
        return {}
    text = "" if answer.abstained else said(answer)
    return {"em": exact_match(text, references), "f1": f1(text, references)}


def abstention(expect: Expect, answer: Answer) -> Verdict:
    """Passes when it declined where it should and answered where it should.

    Where `abstain` is not said, an example with facts, fields, a label or a reference is one to answer.
    """
    should = expect.abstain
    if should is None and (expect.facts or expect.fields or expect.label or expect.reference):
        should = False
    if should is None:
        return unmeasured("nothing says whether it should answer")
    if should and answer.abstained:
        return passed("it declined, as it should")
    if should:
        return failed("it answered although it should have declined")
    if answer.abstained:
        why = f" ({answer.reason.value})" if answer.reason else ""
        return failed(f"it declined{why} although it should have answered")
    return passed("it answered, as it should")


def citation(expect: Expect, evidence: Sequence[Located], answer: Answer, *, cites: bool) -> Verdict:
    """Passes when the needed evidence is cited and no citation fails to bear out its sentence.

    Measures, against the evidence, the share of citations that touch it (`precision`) and of evidence that is
    cited (`recall`), and the same in characters (`char_precision`, `char_recall`). Precision is no part of the
    verdict: evidence names what suffices, not everything that would.
    """
    if not cites:
        return unmeasured("this recipe does not cite")
    if answer.abstained:
        return unmeasured("it declined, so nothing is cited")
    unsound = [item for item in answer.citations if item.supported is Support.NO]
    if unsound:
        return failed(f"[{unsound[0].mark}] does not bear out its sentence: {unsound[0].reason or 'not in the range'}")
    lost = _unlocated(expect, evidence)
    if lost:
        return unmeasured(lost)
    known = [item for item in evidence if item.ranges]
    cited = [Range(item.uri, item.version, item.start, item.end) for item in answer.citations]
    measures = _citation_measures(known, cited)
    if not cited:
        return failed("it cites nothing", measures)
    hit = [any(overlap(place, other) for place in item.ranges for other in cited) for item in known]
    if _enough(expect, hit):
        return passed("the evidence is cited", measures)
    missing = next(item for item, there in zip(known, hit, strict=True) if not there)
    return failed(f"{_named(missing)} is not cited", measures)


def _citation_measures(known: Sequence[Located], cited: Sequence[Range]) -> dict[str, float]:
    places = [place for item in known for place in item.ranges]
    hit = sum(any(overlap(place, other) for place in item.ranges for other in cited) for item in known)
    measures = {"recall": hit / len(known)}
    if cited:
        measures["precision"] = sum(any(overlap(p, other) for p in places) for other in cited) / len(cited)
        measures["char_precision"] = common(cited, places) / max(common(cited, cited), 1)
    if all(item.evidence.quote for item in known):
        # of a quote's several places the one cited most; the others hold the same words and are not missing
        best = [max(item.ranges, key=lambda place: common([place], cited)) for item in known]
        measures["char_recall"] = common(best, cited) / max(common(best, best), 1)
    return measures


def grounded(answer: Answer, support: Callable[[str], tuple[Support, str]] | None) -> Verdict:
    """Passes when the corpus bears out every sentence of the answer, however the answer came about.

    `support` looks one claim up in the corpus and says whether it is borne out, and why not. Measures `supported`,
    the share of checked sentences that are.
    """
    if support is None:
        return unmeasured("there is no corpus to check against")
    if answer.abstained:
        return unmeasured("it declined, so it claims nothing")
    units = [unit for unit in sentences(answer.text) if unit.kind != "heading"]
    claims = [unmarked(answer.text[unit.start : unit.end]) for unit in units]
    found = [(claim, *support(claim)) for claim in claims]
    checked = [item for item in found if item[1] is not Support.UNCHECKED]
    if not checked:
        return unmeasured("no sentence of it makes a claim that can be checked")
    unborne = [(claim, why) for claim, outcome, why in checked if outcome is Support.NO]
    measures = {"supported": 1 - len(unborne) / len(checked)}
    if not unborne:
        return passed(f"the documents bear out all {len(checked)} sentences", measures)
    claim, why = unborne[0]
    return failed(f'the documents do not bear out "{short(claim)}"{f": {why}" if why else ""}', measures)


def _enough(expect: Expect, there: Sequence[bool]) -> bool:
    return any(there) if expect.evidence_needed == "any" else all(there)


def _unlocated(expect: Expect, evidence: Sequence[Located]) -> str:
    """Why evidence cannot be measured; empty where it can. One of several that suffice may be missing."""
    if not evidence:
        return "no evidence is given"
    lost = [item for item in evidence if not item.ranges]
    if not lost or (expect.evidence_needed == "any" and len(lost) < len(evidence)):
        return ""
    return lost[0].reason


def _named(item: Located) -> str:
    return f'"{short(item.evidence.quote)}" of {item.evidence.source}' if item.evidence.quote else item.evidence.source
