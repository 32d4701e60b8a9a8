"""Server-sent events: named events with JSON, and a comment now and then so that no proxy thinks the line is dead."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import StreamingResponse

KEEP_ALIVE = b": writing\n\n"
KEEP_ALIVE_SECONDS = 10.0


class EventStream(StreamingResponse):
    """A stream of events."""

    media_type = "text/event-stream"


def event(data: Any, name: str = "", id: str = "") -> bytes:
    """One event; JSON holds no line break, so that the data is one line."""
    head = (f"event: {name}\n" if name else "") + (f"id: {id}\n" if id else "")
    return f"{head}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
