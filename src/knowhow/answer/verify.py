"""Checks one claim against one stretch of a document: numbers, dates, names, negation and the claim's own words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log

from knowhow.answer.values import agree, values
from knowhow.ports import Verifier
from knowhow.store.analyze import STOP_WORDS, query_terms, terms
from knowhow.types import Support

COVERAGE = 0.5
"""Share of the claim's words, by rarity, that the range must hold. Chosen in docs/answers.md."""
ENTAILED = 0.5
"""Probability from which a verifier's word counts as support."""
_FEW = 20
"""Texts below which nothing can be said about rarity: fewer are treated as that many."""
_PREFIX = 5
"""Letters two words must share at the front to count as forms of one word, where neither is much longer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; `reasons` are in words and empty when supported. `score` is the coverage, 0..1."""

    support: Support
    score: float
    reasons: tuple[str, ...] = ()


class Rarity:
    """How telling a word is, from how many of the given texts hold it (inverse document frequency)."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._seen: Counter[str] = Counter()
        self._count = 0
        for text in texts:
            self._seen.update(set(terms(text)))
            self._count += 1

    def __call__(self, term: str) -> float:
        """BM25's inverse document frequency, kept positive."""
        seen, count = self._seen[term], max(self._count, _FEW)
        return log(1 + (count - seen + 0.5) / (seen + 0.5))

    def share(self, wanted: Iterable[str], held: Iterable[str]) -> float:
        """Share of `wanted`, weighted by rarity, that is in `held`, also as another form of the word; 0..1."""
        have = _Forms(held)
        weights = {term: max(self(term), 0.1) for term in set(wanted)}
        total = sum(weights.values())
        return sum(weight for term, weight in weights.items() if term in have) / total if total else 0.0


class _Forms:
    """A set of terms that also knows another form of a member: "adopt" beside "adoption"."""

    def __init__(self, held: Iterable[str]) -> None:
        self._held = set(held)
        self._stems = {term[:_PREFIX] for term in self._held if len(term) >= _PREFIX and term.isalpha()}

    def __contains__(self, term: str) -> bool:
        if term in self._held:
            return True
        return len(term) >= _PREFIX and term.isalpha() and term[:_PREFIX] in self._stems


def check(
    claim: str,
    evidence: str,
    *,
    around: str = "",
    rarity: Rarity | None = None,
    entailed: float | None = None,
    coverage: float = COVERAGE,
) -> Finding:
    """Whether `evidence` bears out `claim`.

    `around` is what stands with the evidence without being quoted (title, heading path, the sentences before): names
    may come from it, words count half, numbers, dates and negation not at all. `entailed` is a verifier's
    probability; it decides about the words in place of their coverage, never about numbers, dates or names.
    """
    wanted = claim_terms(claim)
    if not wanted and not values(claim):
        return Finding(Support.UNCHECKED, 0.0, ("there is nothing in it to check",))
    held = terms(evidence) + terms(around)
    share = (rarity or Rarity(())).share
    score = (share(wanted, terms(evidence)) + share(wanted, held)) / 2 if wanted else 1.0
    reasons = missing_values(claim, evidence) + missing_names(claim, f"{around} {evidence}") + opposed(claim, evidence)
    if entailed is not None and entailed < ENTAILED:
        reasons.append("the verifier does not see it follow from the range")
    elif entailed is None and score < coverage:
        named = " ".join(reasons)
        lost = [word for word in _lost(claim, set(wanted), _Forms(held)) if word not in named]
        reasons += [f"{', '.join(lost)} {'are' if len(lost) > 1 else 'is'} not in the range"] if lost else []
    return Finding(Support.NO if reasons else Support.YES, score, tuple(dict.fromkeys(reasons)))


def probabilities(verifier: Verifier | None, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
    """The verifier's word on each (claim, evidence), or None for each where there is no verifier."""
    if verifier is None or not pairs:
        return [None] * len(pairs)
    return [float(p) for p in verifier.support(pairs)]


def claim_terms(claim: str) -> list[str]:
    """The terms of a claim that its evidence must hold; figures are left to `missing_values`."""
    return [term for term in query_terms(claim) if term not in _SPEECH and not term.replace(".", "").isdigit()]


def missing_values(claim: str, evidence: str) -> list[str]:
    """One reason for each number or date of `claim` that `evidence` does not give."""
    given = values(evidence)
    return [
        f"{claim[value.start : value.end]} is not in the range"
        for value in values(claim)
        if not any(agree(value, other) for other in given)
    ]


def missing_names(claim: str, text: str) -> list[str]:
    """One reason for each name or identifier of `claim` that `text` does not hold."""
    have = _Forms(terms(text))
    return [
        f"{name} is not in the range"
        for name in names(claim)
        if not all(term in have for term in terms(name) if not term.isdigit())
    ]


@lru_cache(maxsize=4096)
def names(text: str) -> tuple[str, ...]:
    """Capitalised words inside sentences, and identifiers; nothing where capitals mean little (German, headlines)."""
    words = list(_WORD.finditer(text))
    found, capitals, inner = [], 0, 0
    for i, match in enumerate(words):
        word = match.group()
        first = i == 0 or bool(_BREAK.search(text[words[i - 1].end() : match.start()]))
        if _IDENTIFIER.search(word):
            found.append(word)
        elif first:
            continue
        else:
            inner += 1
            if word[0].isupper() and not all(term in _PLAIN for term in terms(word)):
                capitals += 1
                found.append(word)
    if inner >= 4 and (capitals > 0.5 * inner or _GERMAN.search(text)):
        return tuple(word for word in found if _IDENTIFIER.search(word))
    return tuple(dict.fromkeys(found))


def opposed(claim: str, evidence: str) -> list[str]:
    """Reasons why `evidence` says the opposite: one of the two negates what the other states, or an opposite word."""
    reasons = []
    mine, theirs = _negated(claim), _negated(evidence)
    in_evidence, in_claim = frozenset(query_terms(evidence)), frozenset(query_terms(claim))
    if mine and mine <= in_evidence and not mine & theirs:
        reasons.append("it negates what the range states")
    if theirs and theirs <= in_claim and not mine & theirs:
        reasons.append("the range negates what it states")
    for one, other in _OPPOSITES:
        for left, right in ((one, other), (other, one)):
            if (
                left & in_claim
                and right & in_evidence
                and not (right & in_claim or left & in_evidence)
                and bool(mine) == bool(theirs)
            ):
                reasons.append(
                    f"the range says {_spell(right & in_evidence, evidence)}, not {_spell(left & in_claim, claim)}"
                )
    return reasons


def _negated(text: str) -> set[str]:
    """The terms right after a negation, which are what it negates; empty where nothing is negated."""
    scope: set[str] = set()
    for match in _NEGATION.finditer(text):
        after = _BREAK.split(text[match.end() :], maxsplit=1)[0]
        scope.update([term for term in query_terms(after) if term not in _PLAIN][:2])
    return scope


def _spell(found: frozenset[str], text: str) -> str:
    return next((word for word in _words(text) if found & set(terms(word))), next(iter(found)))


def _words(text: str) -> list[str]:
    return [match.group() for match in _WORD.finditer(text)]


def _lost(claim: str, wanted: set[str], held: _Forms) -> list[str]:
    """The first few telling words of `claim` that are not held, as they are written."""
    lost = (word for word in _words(claim) if any(term in wanted and term not in held for term in terms(word)))
    return list(dict.fromkeys(lost))[:4]


_WORD = re.compile(r"[^\W_](?:[\w'’./@-]*\w)?")
_BREAK = re.compile(r"[.!?;:]\s|\n|[,;:]\s")
_IDENTIFIER = re.compile(r"\w_\w|[^\W\d_]\d|\d[^\W\d_]{2,}\d|[a-z][A-Z]|^[A-Z]{2,}[A-Z0-9]*$|\w@\w")
_GERMAN = re.compile(r"\b(?:der|die|das|und|ist|nicht|ein|eine|für|mit|auf|werden|wird|sind|den|dem|des|zu)\b")
_NEGATION = re.compile(
    r"\b(?:not|no|never|cannot|without|neither|nor|none|nobody|nothing|unable|fail(?:s|ed)? to|lacks?|nicht|"
    r"kein\w*|nie|niemals|ohne|"
    r"pas|jamais|sans|nunca|sin)\b|n[’']t\b",
    re.I,
)
_SPEECH = frozenset(terms(" ".join(STOP_WORDS)) + terms(
    "document documents passage passages text according source sources context provided stated states states "
    "that mentions mentioned says "
    "information answer question following based cannot without neither none never unable yes might likely "
    "generally typically usually often particularly specifically important note "
        "various several consider case main however therefore additionally furthermore also overall example "
        "include includes including"
))  # fmt: skip
_PLAIN = frozenset(
    terms("yes no the a an i it he she they we you this that these those in on at for and or but however if when as")
)
_OPPOSITES = tuple(
    (frozenset(terms(a)), frozenset(terms(b)))
    for a, b in (
        ("increase increasing raise rise", "decrease decreasing reduce reduced lower fall decline declined"),
        ("higher greater more larger", "lower fewer less smaller"),
        ("allowed permitted may", "prohibited forbidden disallowed banned"),
        ("include included", "exclude excluded"),
        ("accept accepted", "reject rejected"),
        ("enable enabled", "disable disabled"),
        (
            "promote promoted activate activated induce induced stimulate stimulated",
            "inhibit inhibited suppress suppressed prevent prevented block blocked impair impaired",
        ),
        ("present", "absent"),
        ("mandatory required compulsory", "optional voluntary"),
        ("before", "after"),
        ("minimum", "maximum"),
        ("improve improved", "worsen worsened"),
        ("win won", "lose lost"),
        ("open opened", "close closed"),
        ("positive positively", "negative negatively"),
        ("upregulate upregulated upregulation", "downregulate downregulated downregulation"),
        ("gain gained", "loss lost"),
        ("free", "paid"),
        ("refundable", "nonrefundable"),
    )
)
