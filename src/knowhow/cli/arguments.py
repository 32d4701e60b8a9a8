"""What people type, as values: times, tags, key=value pairs, question files, conversations."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from knowhow.errors import UsageProblem
from knowhow.types import Message

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def read_time(text: str, *, end_of_day: bool = True) -> float:
    """UTC seconds of an ISO time, of an ISO date (its last instant, or its first), or of so long ago: 30m, 12h, 7d, 2w.

    Without a zone it is UTC.
    """
    if ago := _AGO.fullmatch(text):
        return time.time() - int(ago[1]) * _SECONDS[ago[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageProblem(f'"{text}" is not a time; write 2026-03-01, 2026-03-01T12:00:00, or 7d for then') from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if end_of_day and len(text) <= len("2026-03-01"):
        moment += timedelta(days=1, microseconds=-1)
    return moment.timestamp()


def read_where(pairs: Sequence[str] | None) -> dict[str, str]:
    """KEY=VALUE pairs as a mapping."""
    found = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UsageProblem(f'--where "{pair}" must be KEY=VALUE, e.g. --where customer=acme')
        found[key.strip()] = value.strip()
    return found


def read_access(text: str | None) -> frozenset[str] | None:
    """Comma-separated tags; None where the option was not given."""
    if text is None:
        return None
    return frozenset(tag.strip() for tag in text.split(",") if tag.strip())


def read_list(text: str | None) -> list[str]:
    """Comma-separated names in their order."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def read_text(path: Path) -> str:
    """A text file the user named. Raises `UsageProblem`."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise UsageProblem(f"{path} is not UTF-8 text (byte {error.start}); convert it, or ingest it") from None
    except OSError as error:
        raise UsageProblem(f"cannot read {path}: {error.strerror}") from None


def read_rows(path: Path, needs: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Objects of a JSONL file, each with an `id` and one of the keys `needs` under "text"; names wrong lines."""
    seen: set[str] = set()
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UsageProblem(f"{path}, line {number} is not JSON: {error}") from None
        text = next((row[key] for key in needs if key in row), None) if isinstance(row, dict) else None
        if not isinstance(text, str) or not text.strip():
            names = " or ".join(f'"{key}"' for key in needs)
            example = f'{{"id": "1", "{needs[0]}": "…"}}'
            raise UsageProblem(f"{path}, line {number} needs a text under {names}, e.g. {example}")
        name = str(row.get("id", row.get("_id", number)))
        if name in seen:
            raise UsageProblem(f'{path}, line {number}: the id "{name}" was used before; ids must differ')
        seen.add(name)
        yield {**row, "id": name, "text": text}


def read_history(path: Path) -> tuple[Message, ...]:
    """Earlier turns from a JSON list of {"role", "content"}."""
    example = '[{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]'
    try:
        turns = json.loads(read_text(path))
    except ValueError as error:
        raise UsageProblem(f"{path} is not JSON: {error}; it should be {example}") from None
    if not isinstance(turns, list):
        raise UsageProblem(f"{path} must be a list: {example}")
    for number, turn in enumerate(turns, 1):
        known = isinstance(turn, dict) and turn.get("role") in ("system", "user", "assistant")
        if not known or not isinstance(turn.get("content"), str):
            raise UsageProblem(f"{path}, turn {number} must hold role and content: {example}")
    return tuple(Message(turn["role"], turn["content"]) for turn in turns)
