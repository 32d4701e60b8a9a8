"""Recognises a model that says it cannot answer, and the words in which a decline is told to a person."""

from __future__ import annotations

import re

from knowhow.answer.sentences import sentences

NOTHING_RELEVANT = "Nothing in the documents is relevant to this question."
NOT_STATED = "The documents do not say."
NOT_KNOWN = "The model does not know."

_SOURCE = (
    r"(?:(?:the|these|this|those|your|any|my|all|provided|given|available|supplied|shown|retrieved|search|above|"
    r"following|relevant|"
    r"specific|current|of)\s+)*(?:documents?|passages?|texts?|sources?|contexts?|information|excerpts?|articles?|"
    r"materials?|content|"
    r"data|knowledge base|results?|policy|handbook|file|page|report|it|they)(?:\s+(?:provided|given|above|shown|"
    r"here|available|in question))*"
)
_SAYS = (
    r"(?:say|state|mention|specify|provide|contain|include|give|address|answer|discuss|cover|indicate|offer|have|"
    r"describe|explain|"
    r"list|reveal|disclose|detail|define|clarify|identify|refer|touch|tell|support)\w*"
)
_NOT = (
    r"(?:(?:do|does|did|is|are|was|were|has|have|could|can)\s*(?:not|n['’]t)|don['’]t|doesn['’]t|didn['’]t|isn['’]t|"
    r"aren['’]t|cannot|can['’]t|never|fails? to)"
)
_SURE = r"(?:i['’]?m|i am|we are|we['’]re)"
_DECLINES = re.compile(
    "|".join(
        (
            rf"\b{_SOURCE}(?:\s+\[?\(?\d*\)?\]?)?\s+{_NOT}\s+(?:\w+\s+){{0,3}}?{_SAYS}",
            rf"\b{_SOURCE}\s+(?:say|state|mention|contain|provide|include|give)s?\s+(?:nothing|no\b)",
            r"\b(?:i|we)\s+(?:really\s+|simply\s+|also\s+)?(?:do not|don['’]t|did not|didn['’]t|cannot|can['’]t|"
            r"could not|couldn['’]t)\s+(?:\w+\s+){0,2}?"
            r"(?:know|have|find|see|answer|determine|tell|provide|locate|say|access|give|confirm)",
            rf"\b{_SURE}\s+(?:not (?:sure|able|certain|aware)|unable|unsure|sorry,?\s+(?:but|i|we|no|the|there))",
            r"\b(?:unable|not able|not possible|impossible) to (?:answer|determine|find|provide|tell|say|locate|give)",
            r"\b(?:there is|there's|there are|there was|i have|i found|we have)\s+(?:no|not any|not enough|"
            r"insufficient|n['’]t any)\b[^.!?\n]{0,50}\b"
            r"(?:information|mention|answer|detail|data|documents?|passages?|reference|evidence|indication|"
            r"statement|context)",
            r"\b(?:no|insufficient|not enough)\s+(?:\w+\s+){0,2}?(?:information|answer|data|details?|evidence|"
            r"mention)\b(?=[^.!?\n]{0,40}(?:\b(?:is|was|are|to|"
            r"about|on|in|provided|available|found|given)\b|[.!]|$))",
            r"\b(?:is|are|was|were|has|have)\s*(?:not|n['’]t|never)(?: been)? (?:explicitly |directly |clearly |"
            r"specifically |further |even )*"
            r"(?:stated|mentioned|specified|provided|given|found|available|disclosed|known|included|addressed|"
            r"indicated|answered|contained|"
            r"discussed|covered|described|listed|clear|detailed|defined)\b(?=[^.!?\n]{0,60}(?:\b(?:in|by|from|"
            r"within|here|anywhere|at all|"
            r"document|passage|text|context|information)\b|[.!\]]|$))",
            r"^\W*(?:not stated|not (?:mentioned|specified|provided|found|available|known|given)|unanswerable|"
            r"unknown|no answer|n/?a|none (?:given|stated))\b\W*$",
            r"\b(?:die|den|das|der|diese[nrms]?|in den)?\s*(?:dokument\w*|text\w*|quelle\w*|unterlagen|"
            r"informationen|abschnitt\w*)\b[^.!?\n]{0,60}\b"
            r"(?:nicht|keine?n?)\b[^.!?\n]{0,60}\b(?:erwähn\w*|genannt|enthalt\w*|enthält|angegeben|steht|stehen|"
            r"sagen|gesagt|hervor|angabe\w*|"
            r"informationen|antwort\w*|beantwort\w*|nennen)",
            r"\b(?:ich|wir) (?:weiß|wissen|kann|können)\b[^.!?\n]{0,40}\b(?:nicht|keine)\b",
            r"\b(?:keine (?:angaben?|informationen|antwort)|nicht angegeben|nicht bekannt)\b",
            r"\b(?:les|le|la|los|las|el|il|i|os) (?:documents?|textes?|documentos?|textos?|documenti|"
            r"fuentes)\b[^.!?\n]{0,20}\b(?:ne|no|non|não)\b",
            r"\bje ne (?:sais|peux|trouve)\b|\bno (?:lo )?sé\b|\bno (?:se menciona|hay información|puedo "
            r"responder)\b|\bnon (?:lo so|posso)\b",
            r"(?:文档|文件|资料|文本|上下文)[^。\n]{0,12}(?:没有|未|不)|我不知道|无法回答|記載されていません|わかりません",
        )
    ),
    re.I | re.M,
)
_HEDGE = re.compile(
    r"^\W*(?:sorry|unfortunately|i apologi[sz]e|leider|désolé|lo siento|based on|according to|sure|well|hi|hello|"
    r"thank)\b[^.!?]*[.!]\s+",
    re.I,
)


def declines(reply: str) -> bool:
    """Whether `reply` (without marks) opens by saying that it cannot answer, whatever it adds afterwards."""
    text = _HEDGE.sub("", reply.strip()) or reply
    units = sentences(text)
    if not units:
        return True
    first = text[units[0].start : units[0].end]
    return bool(_DECLINES.search(first))
