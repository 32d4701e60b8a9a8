"""API keys: random tokens of which only a hash is kept, each with a role, access tags and a rate.

A token carries 256 random bits, so that one SHA-256 is as good as a slow hash: there is nothing to guess, and a slow
hash would only let strangers keep the server busy.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from enum import StrEnum

from knowhow.errors import NotFound, UsageProblem
from knowhow.ports import Record, Records
from knowhow.types import EVERYTHING, Json

KIND = "key"
PREFIX = "kh_"
PER_MINUTE = 600
"""Requests a key may make in a minute unless it says otherwise."""
_ALL = frozenset({EVERYTHING})
_NAME = re.compile(r"[^\W_][\w.@+-]{0,63}")
_TOKEN = re.compile(r"kh_([0-9a-f]{12})_([\w-]{43})", re.ASCII)


class Role(StrEnum):
    """What a key may do; each role may do what those before it may."""

    ASK = "ask"
    """Search, ask, read documents."""
    FEEDBACK = "feedback"
    """Judge answers and read the trace of one."""
    EDIT = "edit"
    """Change documents and suites, start jobs, list traces and runs."""
    ADMIN = "admin"
    """Erase for good."""

    def may(self, needed: Role) -> bool:
        """Whether this role covers `needed`."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key; never the token itself."""

    id: str
    name: str
    role: Role
    access: frozenset[str]
    per_minute: int
    made: float
    revoked: float | None = None

    def to_json(self) -> Json:
        """A JSON object with every field."""
        return {
            "id": self.id,
            "name": self.name,
            "role": self.role.value,
            "access": sorted(self.access),
            "per_minute": self.per_minute,
            "made": self.made,
            "revoked": self.revoked,
        }

    @classmethod
    def from_json(cls, body: Json) -> Key:
        """The key `to_json` gave."""
        known = {name: body[name] for name in ("id", "name", "per_minute", "made", "revoked")}
        return cls(role=Role(body["role"]), access=frozenset(body["access"]), **known)


class Keys:
    """The keys of one workspace. Every look-up reads the journal, so that revoking holds at the next request."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def add(
        self, name: str, role: Role, access: frozenset[str] = frozenset(), per_minute: int = PER_MINUTE
    ) -> tuple[Key, str]:
        """A new key and its token, which is shown this once. Raises `UsageProblem` for a name in use or misspelt."""
        if not _NAME.fullmatch(name):
            raise UsageProblem(f"{name!r} is no name for a key: letters, digits and . @ + - _, at most 64")
        if any(key.name == name and key.revoked is None for key in self.all()):
            raise UsageProblem(f"there is a key {name} already; revoke it first: knowhow keys revoke {name}")
        if per_minute < 1:
            raise UsageProblem(f"per_minute must be at least 1, not {per_minute}")
        key = Key(secrets.token_hex(6), name, role, access, per_minute, time.time())
        secret = secrets.token_urlsafe(32)
        self._records.put([Record(KIND, key.id, {**key.to_json(), "hash": _hash(secret)}, access=_ALL)])
        return key, f"{PREFIX}{key.id}_{secret}"

    def all(self) -> list[Key]:
        """Every key, revoked ones included, newest first."""
        return [Key.from_json(record.body) for record in self._records.select(KIND, _ALL)]

    def any(self) -> bool:
        """Whether a key was ever made: from then on every request needs one."""
        return next(iter(self._records.select(KIND, _ALL, limit=1)), None) is not None

    def revoke(self, name: str, *, erase: bool = False) -> Key:
        """Ends a key at once; with `erase`, nothing of it is left. Raises `NotFound`."""
        found = [key for key in self.all() if name in (key.name, key.id) and (erase or key.revoked is None)]
        if not found:
            raise NotFound(f"no key {name} is in force; `knowhow keys list` shows them")
        key = found[0]
        if erase:
            self._records.erase(KIND, [key.id])
            return key
        record = self._records.get(KIND, key.id, _ALL)
        assert record is not None
        body = {**record.body, "revoked": time.time()}
        self._records.put([Record(KIND, key.id, body, at=record.at, access=_ALL)])
        return Key.from_json(body)

    def holder(self, token: str) -> Key | None:
        """The key in force that this token belongs to."""
        match = _TOKEN.fullmatch(token)
        record = self._records.get(KIND, match[1], _ALL) if match else None
        if match is None or record is None or not hmac.compare_digest(record.body["hash"], _hash(match[2])):
            return None
        return self.in_force(match[1])

    def in_force(self, id: str) -> Key | None:
        """The key with this id, unless it was revoked."""
        record = self._records.get(KIND, id, _ALL)
        return None if record is None or record.body["revoked"] else Key.from_json(record.body)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
