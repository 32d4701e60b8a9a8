"""What a follow-up is about: carries the words it leans on over from the turns before, for the search."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from knowhow.answer.verify import names
from knowhow.store.analyze import query_terms, terms
from knowhow.types import Message

_CARRIED = 10
"""Words carried over at most; more drown what is new in the follow-up."""
_NAMES = 2
"""Names carried over from the last answer at most."""
_READ = 600
"""Characters of the last answer in which they are looked for."""
_SHORT = 3
"""A question with fewer words of its own leans on the one before."""
_OPENS_BACK = re.compile(
    r"^\W*(?:and|but|or|so|also|then|what about|how about|what if|why(?: not)?\W*$|when\W*$|where\W*$|who\W*$|"
    r"how\W*$|how so|"
    r"any(?:thing)? (?:other|else)|tell me more|go on|continue|und|oder|aber|auch|was ist mit|wie steht es|"
    r"warum\W*$|wieso|et|y|ou)\b",
    re.I,
)
_WORD = re.compile(r"[^\W_](?:[\w'’./@-]*\w)?")
_CHATTER = frozenset(terms(
    "please thanks thank hello hi ok okay great tell explain know want need help question answer more mean give "
    "find get like many much "
    "long what's that's there's can't bitte danke gern"
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Understood:
    """`search` is the question as it is searched for; `carried` are the words taken from earlier turns."""

    search: str
    carried: tuple[str, ...] = ()


def understand(question: str, history: Sequence[Message]) -> Understood:
    """The question standing on its own. Unchanged where it already does, or where there is no history.

    A follow-up is told by its opening ("what about…") or by how few words of its own it has, not by pronouns: a long
    question finds more without help (docs/answers.md). What it leans on are the telling words of the user's last
    question (itself understood in context) and the first names in the last answer; its own words count twice.
    """
    asked = [turn.content for turn in history if turn.role == "user"]
    if not asked or not leans(question):
        return Understood(question)
    said = [turn.content for turn in history if turn.role == "assistant"]
    before = asked[0]
    for turn in asked[1:]:
        before = _joined(turn, _telling(before)) if leans(turn) else turn
    own = set(terms(question))
    answered = [name for name in names(said[-1][:_READ]) if len(name) > 2] if said else []
    words = _telling(before) + answered[:_NAMES]
    carried = [word for word in dict.fromkeys(words) if not set(terms(word)) <= own][:_CARRIED]
    return Understood(_joined(f"{question} {question}", carried), tuple(carried))


def leans(question: str) -> bool:
    """Whether `question` cannot be understood without what was said before."""
    own = [term for term in query_terms(question) if term not in _CHATTER]
    return len(own) < _SHORT or bool(_OPENS_BACK.match(question))


def _telling(question: str) -> list[str]:
    """The words of `question` that say what it is about, in order."""
    kept = set(query_terms(question)) - _CHATTER
    return [word for word in _WORD.findall(question) if kept & set(terms(word))][-_CARRIED:]


def _joined(question: str, words: Sequence[str]) -> str:
    return f"{' '.join(words)} {question}" if words else question
