"""Other versions of the evidence among what the model was shown: what they say instead, and whether it was followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from knowhow.answer.asked import Corpus
from knowhow.answer.conflict import same_subject
from knowhow.answer.sentences import sentences
from knowhow.answer.values import Value, agree, values
from knowhow.diagnose.case import Case, Lab
from knowhow.evaluate.statements import Mention, mention
from knowhow.store.analyze import query_terms
from knowhow.types import Document, Hit

ALIKE = 0.6
"""Share of the shorter text's words, figures aside, that another version of it must have as well."""
_FEWEST = 4
"""Words a sentence must have to be recognised in another version."""


@dataclass(frozen=True, slots=True)
class Other:
    """A passage that was shown and says otherwise than the evidence."""

    hit: Hit
    newer: str
    """uri of the document that holds the evidence."""
    why: str
    """What makes it the superseded one: "is replaced by it", "took effect earlier"; empty where nothing says so."""
    says: str
    """Its first sentence that differs."""
    followed: bool
    """The failed answer says what only this version says, or cites it."""


def others(case: Case, lab: Lab) -> tuple[Other, ...]:
    """The passages shown that are versions of the evidence and do not state what it states, in the order shown.

    A version that the documents call newer than the evidence is left out: the suite is then behind them.
    """
    corpus = case.corpus(lab)
    found = []
    for hit in case.shown:
        for gold in case.found.gold:
            told = _other(case, corpus, gold, hit) if hit.uri != gold.uri else None
            if told is not None:
                found.append(told)
                break
    return tuple(found)


def replaced(case: Case, lab: Lab) -> tuple[str, ...]:
    """The uris among what was shown that another document shown, or the evidence, says it supersedes."""
    corpus = case.corpus(lab)
    held = {hit.uri: corpus.document(hit.uri, hit.version) for hit in (*case.shown, *case.found.gold)}
    gone = {document.supersedes for document in held.values() if document is not None}
    return tuple(dict.fromkeys(hit.uri for hit in case.shown if hit.uri in gone))


def _other(case: Case, corpus: Corpus, gold: Hit, hit: Hit) -> Other | None:
    if not same_subject(gold.title or gold.uri, hit.title or hit.uri):
        return None
    pairs = list(_differing(gold.text, hit.text))
    if not pairs or _states_all(case, gold, hit):
        return None
    why = _why(corpus.document(gold.uri, gold.version), corpus.document(hit.uri, hit.version))
    if why is None:
        return None
    followed = any(citation.uri == hit.uri for citation in case.row.citations) or any(
        _says(case.row.answer, theirs, f"{mine} {case.example.asked}") for mine, theirs in pairs
    )
    return Other(hit, gold.uri, why, pairs[0][1], followed)


def _states_all(case: Case, gold: Hit, hit: Hit) -> bool:
    """Whether the passage says of the facts expected all that the evidence says."""
    facts = [fact for fact in case.example.expect.facts if _states(gold.text, fact)]
    return bool(facts) and all(_states(hit.text, fact) for fact in facts)


def _states(text: str, fact: Sequence[str]) -> bool:
    return any(mention(text, alternative) is Mention.STATED for alternative in fact)


def _why(gold: Document | None, other: Document | None) -> str | None:
    """Why `other` is the superseded one; None where it is the newer of the two."""
    if gold is None or other is None:
        return ""
    if gold.supersedes == other.uri:
        return "is replaced by it"
    if other.supersedes == gold.uri:
        return None
    if gold.effective_at is None or other.effective_at is None or gold.effective_at == other.effective_at:
        return ""
    return "took effect earlier" if other.effective_at < gold.effective_at else None


# --- the same sentence in another version -----------------------------------------------------------------


def _differing(mine: str, theirs: str) -> Iterator[tuple[str, str]]:
    """Sentences of `theirs` beside the sentence of `mine` that they are another version of."""
    own = [(sentence, _words(sentence)) for sentence in _sentences(mine)]
    for sentence in _sentences(theirs):
        words = _words(sentence)
        if len(words) < _FEWEST or any(sentence == other for other, _ in own):
            continue
        best, share = max(
            ((other, _alike(words, held)) for other, held in own), key=lambda one: one[1], default=("", 0)
        )
        if share >= ALIKE:
            yield best, sentence


def _sentences(text: str) -> list[str]:
    return [" ".join(text[unit.start : unit.end].split()) for unit in sentences(text) if unit.kind != "heading"]


def _words(text: str) -> frozenset[str]:
    return frozenset(term for term in query_terms(text) if not term.isdigit())


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / max(min(len(one), len(other)), 1) if len(other) >= _FEWEST - 1 else 0.0


def _says(answer: str, theirs: str, known: str) -> bool:
    """Whether `answer` has a value, or every word, that `theirs` has and `known` does not."""
    said, ours = values(answer), values(known)
    new = [value for value in values(theirs) if not _among(value, ours)]
    if any(_among(value, said) for value in new):
        return True
    words = set(query_terms(theirs)) - set(query_terms(known))
    plain = {word for word in words if not any(c.isdigit() for c in word)}
    return bool(plain) and not new and plain <= set(query_terms(answer))


def _among(value: Value, held: Sequence[Value]) -> bool:
    return any(agree(value, other) or agree(other, value) for other in held)
