"""One line of a lessons file: the chat and preference formats people have, read into lessons with plain messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from knowhow.suites.fields import kind
from knowhow.types import Lesson, Mark, Message, Origin

FORMS = (
    '{"messages": […]} (OpenAI chat), {"input", "preferred_output", "non_preferred_output"} (OpenAI preferences), '
    '{"prompt", "completion"} or {"prompt", "chosen", "rejected"}'
)
_ROLES = ("system", "developer", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one line gave: lessons and, where it is wrong, messages; both may be there."""

    lessons: tuple[Lesson, ...] = ()
    problems: tuple[str, ...] = ()


class Wrong(ValueError):
    """A line that is no lesson; the text says why and follows the line's number."""


def parse_line(body: object, source: str) -> Parsed:
    """The lessons of one JSON object; `source` ("FILE:LINE") names them. A chat gives one for each assistant turn.

    OpenAI's `weight` 0 leaves a turn out. Unknown keys beside the format's own are passed over, as the tools that
    write such files add their own.
    """
    if not isinstance(body, Mapping):
        return Parsed(problems=(f"must be an object, not {kind(body)}",))
    try:
        if "messages" in body:
            return Parsed(_chat(body["messages"], source))
        if "preferred_output" in body or "non_preferred_output" in body:
            return Parsed((_openai_preference(body, source),))
        if "chosen" in body or "rejected" in body:
            return Parsed((_preference(body, source),))
        if "prompt" in body and "completion" in body:
            return Parsed((_completion(body, source),))
    except Wrong as problem:
        return Parsed(problems=(str(problem),))
    known = ", ".join(map(str, list(body)[:6])) or "nothing"
    return Parsed(problems=(f"is none of the formats {FORMS}; it holds {known}",))


def _chat(value: object, source: str) -> tuple[Lesson, ...]:
    turns, weights = _turns(value, "messages")
    lessons: list[Lesson] = []
    for at, (turn, weight) in enumerate(zip(turns, weights, strict=True)):
        if turn.role != "assistant" or not weight:
            continue
        if not turn.content.strip():
            raise Wrong(f"turn {at + 1} of the assistant is empty, so there is nothing to learn")
        lessons.append(_lesson(turns[:at], turn.content, source, number=len(lessons)))
    if not lessons:
        raise Wrong("has no turn of the assistant with a weight above 0, so there is nothing to learn")
    return tuple(lessons)


def _openai_preference(body: Mapping[str, Any], source: str) -> Lesson:
    given = body.get("input")
    turns, _ = _turns(given.get("messages") if isinstance(given, Mapping) else given, "input.messages")
    return _pair(turns, body.get("preferred_output"), body.get("non_preferred_output"), source)


def _preference(body: Mapping[str, Any], source: str) -> Lesson:
    """`prompt` may be left out where both conversations start with it."""
    if "prompt" in body:
        return _pair(_prompt(body["prompt"]), body.get("chosen"), body.get("rejected"), source)
    good, _ = _turns(body.get("chosen"), "chosen")
    bad, _ = _turns(body.get("rejected"), "rejected")
    if good[:-1] != bad[:-1]:
        raise Wrong("`chosen` and `rejected` answer different conversations")
    return _pair(good[:-1], [_plain(good[-1])], [_plain(bad[-1])], source)


def _completion(body: Mapping[str, Any], source: str) -> Lesson:
    label = body.get("label", True)
    if not isinstance(label, bool):
        raise Wrong(f"`label` must be true or false, not {kind(label)}")
    turns = _prompt(body["prompt"])
    return _lesson(turns, _said(body["completion"], "completion"), source, mark=Mark.GOOD if label else Mark.BAD)


def _pair(turns: Sequence[Message], good: object, bad: object, source: str) -> Lesson:
    better, worse = _said(good, "the preferred reply"), _said(bad, "the other reply")
    if better.strip() == worse.strip():
        raise Wrong("both replies are the same, so nothing is preferred")
    return _lesson(turns, better, source, rejected=worse)


def _prompt(value: object) -> list[Message]:
    return [Message("user", value)] if isinstance(value, str) else _turns(value, "prompt")[0]


def _said(value: object, name: str) -> str:
    """The text of a reply: a text, or one turn of the assistant in a list."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping):
        value = value[0].get("content")
    if not isinstance(value, str):
        raise Wrong(f"{name} must be a text or a list with one message, not {kind(value)}")
    if not value.strip():
        raise Wrong(f"{name} is empty")
    return value


def _turns(value: object, name: str) -> tuple[list[Message], list[bool]]:
    """Messages, and whether each counts."""
    if not isinstance(value, list) or not value:
        raise Wrong(f"`{name}` must be a list of messages, not {kind(value) if value != [] else 'an empty one'}")
    turns, weights = [], []
    for number, item in enumerate(value, 1):
        if not isinstance(item, Mapping):
            raise Wrong(f"`{name}` {number} must be an object with role and content, not {kind(item)}")
        role, content = item.get("role"), _text(item.get("content"))
        if role in ("tool", "function") or item.get("tool_calls") or item.get("function_call"):
            raise Wrong(f"`{name}` {number} calls a tool; lessons are text only, leave such conversations out")
        if role not in _ROLES or not isinstance(content, str):
            raise Wrong(f"`{name}` {number} needs a role of {', '.join(_ROLES)} and a text under `content`")
        turns.append(Message("system" if role == "developer" else role, content))
        weights.append(item.get("weight", 1) != 0)
    return turns, weights


def _text(content: object) -> object:
    """Content given as a list of text parts is joined, as OpenAI's clients write it."""
    if isinstance(content, list) and all(isinstance(p, Mapping) and isinstance(p.get("text"), str) for p in content):
        return "".join(part["text"] for part in content)
    return content


def _lesson(
    turns: Sequence[Message],
    target: str,
    source: str,
    *,
    rejected: str = "",
    mark: Mark = Mark.GOOD,
    number: int = 0,
) -> Lesson:
    asked = [at for at, turn in enumerate(turns) if turn.role == "user"]
    if not asked or asked[-1] != len(turns) - 1:
        raise Wrong("the reply to learn must follow a turn of the user")
    if not turns[-1].content.strip():
        raise Wrong("the user's turn before the reply is empty")
    said = [turn for turn in turns[:-1] if turn.role != "system"]
    return Lesson(
        id=f"{source}#{number}" if number else source,
        question=turns[-1].content,
        target=target,
        origin=Origin.FILE,
        source=source,
        system="\n".join(turn.content for turn in turns if turn.role == "system"),
        history=tuple(said),
        rejected=rejected,
        mark=mark,
        group=source,
    )


def _plain(turn: Message) -> dict[str, str]:
    return {"role": turn.role, "content": turn.content}
