"""Documents are data: hides invisible text, disarms control tokens and fake marks, and finds orders to the model.

Nothing here changes what is stored or quoted; only what the prompt shows, and what may count as evidence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from knowhow.answer.sentences import sentences

WITHHELD = "(sentence withheld)"
REMEMBERED = 20_000
"""Characters of a text up to which what was found in it is remembered."""


class Danger(StrEnum):
    """What was found in a text that is meant to be data."""

    INVISIBLE = "invisible-text"
    COMMENT = "hidden-comment"
    CONTROL = "control-token"
    TURN = "fake-turn"
    ORDER = "order-to-the-model"
    ENCODED = "encoded-text"


@dataclass(frozen=True, slots=True)
class Flag:
    """One finding: `text[start:end]` of the text that was looked at."""

    danger: Danger
    start: int
    end: int
    excerpt: str


_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+"
)
_COMMENT = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<(\w+)[^>]*(?:display:\s*none|visibility:\s*hidden|font-size:\s*0)[^>]*>.*?</\1>",
    re.S,
)
_CONTROL = re.compile(
    r"<[|｜][^|｜<>\n]{1,40}[|｜]>|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>|</?(?:think|tool_call|"
    r"tool_response)>"
    r"|<(?:bos|eos|pad|unk)>",
    re.I,
)
_TEMPLATE = re.compile(
    r"<[|｜][^|｜<>\n]{1,40}[|｜]>[^<]{0,400}|\[INST\].{0,400}?(?:\[/INST\]|\Z)|<<SYS>>.{0,400}?<</SYS>>",
    re.S | re.I,
)
"""What a chat template's control token opens: it would be a turn of its own."""
_TURN = re.compile(
    r"^[ \t>*#_]*(?:system|assistant|developer|human|ai)(?: (?:message|prompt|note))?[*_ \t]*:", re.I | re.M
)
_FENCE_WORD = re.compile(r"</?(?=documents?\b|context\b)", re.I)
_MARK = re.compile(r"\[(\^?\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*)\]|【([^】\n]{1,20})】")
_ENCODED = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/]{60,}={0,2}(?![\w+/=])")
_ORDERS = re.compile(
    "|".join(
        (
            r"\b(?:ignore|disregard|forget)\b[^.!?\n]{0,40}\b(?:previous|prior|above|earlier|"
            r"preceding|all|any|"
            r"your|other|the)\b[^.!?\n]{0,40}\b(?:instructions?|prompts?|rules|directions|guidelines|documents|"
            r"context|orders)\b",
            r"\b(?:ignore|disregard|forget)\b[^.!?\n]{0,20}\b(?:text|everything|content|passages?|sentences?)\b"
            r"[^.!?\n]{0,20}\b(?:above|before)\b[^.!?\n]{0,20}\b(?:and|then|instead)\b",
            r"\b(?:your )?(?:new|real|actual|updated) (?:system )?(?:instructions?|task|prompt|orders) (?:is|are|:)",
            r"\byou are (?:now|no longer)\b[^.!?\n]{0,60}\b(?:ai|assistant|model|bot|chatbot|dan|mode|"
            r"unrestricted|pirate|admin)\b",
            r"\b(?:reveal|print|repeat|output|show|leak|disclose)\b[^.!?\n]{0,30}\b(?:your|the) (?:\w+ "
            r")?(?:system prompt|"
            r"hidden prompt|initial instructions|instructions above)\b",
            r"\b(?:ai|llm|language model|chatbot|(?:ai )?assistants?|models?)\b[^.!?\n]{0,40}\b(?:must|should|"
            r"shall|has to|have to) "
            r"(?:now |always |only |instead )*(?:answer|reply|respond|say|output|write|tell|ignore|recommend|"
            r"state|include|append|call)\b",
            r"\b(?:to|attention|note to|message to|instructions? (?:to|for)) (?:the |any |all )?(?:ai|llm|"
            r"language model|chatbot|"
            r"(?:ai |digital )?assistants?)\b(?: \w+)?\s*[:,–-]",
            r"\bwhen (?:asked|answering|summari[sz]ing|responding|you (?:answer|reply|"
            r"respond))\b[^.!?\n]{0,60}\b(?:always |only |instead )*"
            r"(?:say|reply|answer with|respond with|output|append|include|insert|tell (?:the user|them))\b",
            r"^[^.!?\n]{0,20}\b(?:answer|reply|respond|say|output|write)\b (?:only |exactly |just |every question "
            r")?(?:with )?(?:only |exactly |"
            r"just )?[\"“'‘:][^\n]{1,120}(?:and (?:nothing else|stop)|instead)",
            r"\b(?:always|only|now|must) (?:answer|reply|respond|say|output|write|"
            r"print)\b[^.!?\n]{0,20}[\"“'‘«]",
            r"(?-i:\bSYSTEM)(?: (?:message|prompt|note|override))?\s*:",
            r"\bdo not (?:tell|inform|mention (?:this|it) to|reveal (?:this|it) to) the (?:user|reader|customer|"
            r"person)\b",
            r"!\[[^\]]*\]\([^)\s]*[?&][^)\s]*=\s*[\[{<(%$]",
            r"\bignorier\w*\b[^.!?\n]{0,40}\b(?:anweisung\w*|befehl\w*|regeln|vorgaben|anleitung\w*)",
            r"\b(?:vergiss|missachte)\b[^.!?\n]{0,40}\b(?:anweisung\w*|befehl\w*|regeln|vorgaben)",
            r"\b(?:antworte|schreibe|sage) (?:nur|immer|ausschließlich|stattdessen)\b",
            r"\b(?:ignora\w*|olvida\w*|descarta\w*|dimentica\w*|esque[cç]a\w*)\b[^.!?\n]{0,40}\b(?:instrucciones|"
            r"órdenes|reglas|istruzioni|"
            r"regole|instruções)\b",
            r"\b(?:responde|contesta|di) (?:solo|solamente|únicamente|siempre)\b",
            r"\b(?:ignore[zr]?|oublie[zr]?)\b[^.!?\n]{0,40}\b(?:instructions|consignes|règles|ordres)\b",
            r"\b(?:réponds|répondez|répondre|dites|écris) (?:seulement|uniquement|toujours|simplement)\b",
            r"(?:忽略|无视|忘记|忽視|無視)[^。！？\n]{0,16}(?:指令|指示|说明|規則|规则|提示|命令)",
            r"(?:只|仅|必须)(?:需)?(?:回答|回复|輸出|输出|说)",
            r"(?:игнорируй|забудь)\w*[^.!?\n]{0,40}(?:инструкц\w+|указани\w+|правил\w*)",
            r"(?:上記|以前|これまで)の(?:指示|命令)[^。\n]{0,8}(?:無視|忘れ)",
        )
    ),
    re.I | re.M,
)


def flags(text: str) -> tuple[Flag, ...]:
    """Everything suspicious in `text`, in order of place; orders also where invisible characters break them up."""
    found = [
        Flag(danger, match.start(), match.end(), _excerpt(match.group()))
        for danger, pattern in (
            (Danger.COMMENT, _COMMENT),
            (Danger.CONTROL, _CONTROL),
            (Danger.TURN, _TURN),
            (Danger.ENCODED, _ENCODED),
        )
        for match in pattern.finditer(text)
    ]
    found += [Flag(Danger.INVISIBLE, m.start(), m.end(), f"{len(m.group())} characters") for m in _hiding(text)]
    found += [Flag(Danger.ORDER, start, end, _excerpt(text[start:end])) for start, end in orders(text)]
    return tuple(sorted(found, key=lambda flag: (flag.start, flag.end)))


def orders(text: str) -> list[tuple[int, int]]:
    """Sentences `text[a:b]` that read as an order to the model, also where invisible characters break up the words."""
    return list(_orders(text) if len(text) <= REMEMBERED else _orders.__wrapped__(text))


# One question asks this of each passage about eight times, and the next question of many of them again.
@lru_cache(maxsize=1024)
def _orders(text: str) -> tuple[tuple[int, int], ...]:
    kept = [i for i, char in enumerate(text) if not _INVISIBLE.match(char)] if _INVISIBLE.search(text) else None
    bare = text if kept is None else "".join(text[i] for i in kept)
    hits = [match.span() for pattern in (_ORDERS, _TURN, _TEMPLATE) for match in pattern.finditer(bare)]
    if not hits:
        return ()
    found = [unit for unit in sentences(bare) if any(a < unit.end and b > unit.start for a, b in hits)]
    if kept is None:
        return tuple((unit.start, unit.end) for unit in found)
    return tuple((kept[unit.start], kept[unit.end - 1] + 1) for unit in found)


def untrusted(text: str) -> list[tuple[int, int]]:
    """Ranges of `text` that bear nothing out: orders to the model, and what a reader of the document cannot see."""
    return orders(text) + [match.span() for match in _COMMENT.finditer(text)]


def trusted(text: str) -> str:
    """`text` without its `untrusted` ranges, on whose words nothing may rest."""
    for start, end in sorted(untrusted(text), reverse=True):
        text = text[:start] + text[end:]
    return text


def disarm(text: str, *, withhold: Sequence[tuple[int, int]] = ()) -> str:
    """`text` as a prompt may hold it: invisible text and comments gone, control tokens, fences and marks made harmless.

    `withhold` are ranges of `text` that are left out by name.
    """
    at, parts = 0, []
    for start, end in sorted(withhold):
        if start >= at:
            parts += [text[at:start], WITHHELD]
            at = end
    text = _INVISIBLE.sub("", _COMMENT.sub("", "".join([*parts, text[at:]])))
    text = _CONTROL.sub(lambda match: match.group().translate(_HARMLESS), text)
    text = _FENCE_WORD.sub(lambda match: match.group().translate(_HARMLESS), text)
    return _MARK.sub(lambda match: f"({match.group(1) or match.group(2)})", text)


_HARMLESS = str.maketrans({"<": "‹", ">": "›", "[": "(", "]": ")", "|": "¦", "｜": "¦"})


def _hiding(text: str) -> list[re.Match[str]]:
    """Runs of invisible characters that hide something; a lone soft hyphen, joiner or byte-order mark is ordinary."""
    return [m for m in _INVISIBLE.finditer(text) if len(m.group()) > 2 or m.group() > "\U000e0000"]


def _excerpt(text: str) -> str:
    words = " ".join(_INVISIBLE.sub("", text).split())
    return words if len(words) <= 80 else words[:79] + "…"
