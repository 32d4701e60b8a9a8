"""Ask: from a question to an answer with checked citations, a reasoned decline, and a trace of how it came about."""

from knowhow.answer.answer import ask, stream
from knowhow.answer.feedback import Feedback, Verdict
from knowhow.answer.shape import answer_json
from knowhow.answer.story import story
from knowhow.answer.trace import Trace

__all__ = ["Feedback", "Trace", "Verdict", "answer_json", "ask", "story", "stream"]
