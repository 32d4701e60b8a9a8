"""The nouns: plain frozen values that every folder shares and that carry no behaviour of their own."""

from knowhow.types.answers import Answer, Citation, Context, Decline, FewShot, Recipe, Shown, Support, Usage
from knowhow.types.chat import ChatReply, ChatRequest, Message, Role, Sampling, TokenLogprob
from knowhow.types.core import EVERYTHING, Json, MetaValue, fingerprint
from knowhow.types.documents import (
    Document,
    DocumentInfo,
    DocumentState,
    Extract,
    IndexSpec,
    Passage,
    Place,
    Range,
    Span,
    SplitSpec,
)
from knowhow.types.events import Failure, IngestReport, Progress
from knowhow.types.search import CandidateTrace, Fate, Filter, Hit, SearchMode, SearchResult

__all__ = [
    "EVERYTHING",
    "Answer",
    "CandidateTrace",
    "ChatReply",
    "ChatRequest",
    "Citation",
    "Context",
    "Decline",
    "Document",
    "DocumentInfo",
    "DocumentState",
    "Extract",
    "Failure",
    "Fate",
    "FewShot",
    "Filter",
    "Hit",
    "IndexSpec",
    "IngestReport",
    "Json",
    "Message",
    "MetaValue",
    "Passage",
    "Place",
    "Progress",
    "Range",
    "Recipe",
    "Role",
    "Sampling",
    "SearchMode",
    "SearchResult",
    "Shown",
    "Span",
    "SplitSpec",
    "Support",
    "TokenLogprob",
    "Usage",
    "fingerprint",
]
