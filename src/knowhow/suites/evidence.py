"""Evidence resolved once: where in which version of which document a suite's quotes stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from knowhow.types import Document, Evidence, Example, Located, Range

Documents = Callable[[str, float | None], Document | None]
"""(uri, as_of) → the document as it is, or was at that time; None where there is none."""

_MOST = 50
"""Places of one quote that are kept; a quote found oftener says nothing about where the answer is."""
_QUOTES = "\"'“”„‟‘’‚‛«»‹›`´′″"
_DASHES = "-‐‑‒–—―−"


def locate_evidence(examples: Iterable[Example], documents: Documents) -> dict[str, tuple[Located, ...]]:
    """Example id → its evidence with ranges, or with the reason why there are none.

    What cannot be resolved makes the checks that need it `unmeasured`; it is never a failure of the answer.
    """
    found: dict[str, list[Located | None]] = {}
    wanted: dict[tuple[str, float | None], list[tuple[str, int, Evidence]]] = {}
    for example in examples:
        found[example.id] = [None] * len(example.expect.evidence)
        for place, item in enumerate(example.expect.evidence):
            wanted.setdefault((item.source, example.as_of), []).append((example.id, place, item))
    for (uri, as_of), asked in wanted.items():
        document = documents(uri, as_of)  # one at a time, so that memory does not grow with the documents
        for id, place, item in asked:
            found[id][place] = _located(item, document)
    return {id: tuple(item for item in items if item is not None) for id, items in found.items()}


def _located(evidence: Evidence, document: Document | None) -> Located:
    if document is None:
        return Located(evidence, (), f"the document {evidence.source} is not ingested")
    if not evidence.quote:
        return Located(evidence, (Range(document.uri, document.version, 0, len(document.text)),))
    places = locate(document.text, evidence.quote)
    if not places:
        short = evidence.quote if len(evidence.quote) <= 60 else evidence.quote[:57] + "…"
        return Located(evidence, (), f'{evidence.source} (version {document.version}) does not say "{short}"')
    if len(places) > _MOST:
        return Located(evidence, (), f"the quote stands in more than {_MOST} places of {evidence.source}")
    return Located(evidence, tuple(Range(document.uri, document.version, start, end) for start, end in places))


def locate(text: str, quote: str) -> list[tuple[int, int]]:
    """Where `quote` stands in `text`, as `text[start:end]`, without overlaps and in order.

    Exact places are preferred. Failing those, runs of white space count as one space, and case and the
    shapes of quotation marks and dashes are ignored. A place never starts or ends inside a word, or, where
    a script has no spaces between words, inside a number.
    """
    words = quote.split()
    if not words:
        return []
    for pattern in _patterns(tuple(words)):
        places = [match.span() for match in pattern.finditer(text)]
        if places:
            return places
    return []


@lru_cache(maxsize=1024)
def _patterns(words: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    exact = r"\s+".join(re.escape(word) for word in words)
    loose = r"\s+".join("".join(map(_any_shape, word)) for word in words)
    patterns = [re.compile(_whole(exact, words, r"\w")), re.compile(_whole(loose, words, r"\w"), re.IGNORECASE)]
    if _spaceless(words):
        patterns.append(re.compile(_whole(loose, words, r"\d"), re.IGNORECASE))
    return tuple(patterns)


def _whole(pattern: str, words: tuple[str, ...], unit: str) -> str:
    """`pattern` that neither starts nor ends inside a `unit` (a word, a number)."""
    before = f"(?<!{unit})" if re.match(unit, words[0]) else ""
    after = f"(?!{unit})" if re.match(unit, words[-1][-1]) else ""
    return f"{before}(?:{pattern}){after}"


def _any_shape(character: str) -> str:
    for shapes in (_QUOTES, _DASHES):
        if character in shapes:
            return f"[{re.escape(shapes)}]"
    return re.escape(character)


def _spaceless(words: tuple[str, ...]) -> bool:
    """Whether the quote is written in a script without spaces between words (Chinese, Japanese, Thai, …)."""
    return bool(re.search("[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]", "".join(words)))
