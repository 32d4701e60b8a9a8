"""How to reach and run a model: what differs between machines and never changes an answer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from knowhow.settings.fields import DEFAULT_KEYS


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """Options of `open_chat` and its siblings."""

    keys: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_KEYS))
    """host or host:port = name of the environment variable that holds its key; a host not listed gets none."""
    variables: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    """Where those variables are looked up: the environment, and what `.env` adds. Never shown."""
    timeout_s: float = 60.0
    """Longest wait for a whole reply, or for the next piece of a streamed one."""
    retries: int = 4
    """Further attempts after a rate limit, a server error or a dropped connection."""
    offline: bool = False
    """Refuse every host that is not loopback, before connecting."""
    threads: int = 0
    """Threads of a model in this process; 0 = one per core this process may use."""
    context_tokens: int = 0
    """Window; 0 = what a local model was trained for, at most 8192, and unknown for a remote one."""
    parallel: int = 1
    """Requests a model in this process works on at once; each has a window of its own."""
    adapters: Mapping[str, str] = field(default_factory=dict)
    """Adapter name = LoRA file (GGUF), loaded beside a model in this process."""
