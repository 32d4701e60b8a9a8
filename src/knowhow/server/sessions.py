"""Sessions of people in a browser: a key given once becomes a cookie that scripts cannot read."""

from __future__ import annotations

import hashlib
import secrets
import time

from knowhow.ports import Record, Records
from knowhow.server.keys import Key, Keys
from knowhow.types import EVERYTHING

KIND = "session"
COOKIE = "knowhow_session"
SECONDS = 12 * 3600
"""How long a session lasts."""
_ALL = frozenset({EVERYTHING})


class Sessions:
    """Sessions kept in the journal under a hash of their token, so that they outlive a restart and leak nothing."""

    def __init__(self, records: Records, keys: Keys) -> None:
        self._records = records
        self._keys = keys

    def start(self, key: Key) -> str:
        """A new session of the holder of `key`; returns the cookie's value."""
        self._forget()
        token = secrets.token_urlsafe(32)
        self._records.put([Record(KIND, _name(token), {"key": key.id, "until": time.time() + SECONDS}, access=_ALL)])
        return token

    def holder(self, token: str) -> Key | None:
        """The key behind a session that is not over; None also where that key was revoked."""
        record = self._records.get(KIND, _name(token), _ALL)
        if record is None or record.body["until"] < time.time():
            return None
        return self._keys.in_force(record.body["key"])

    def end(self, token: str) -> None:
        """Ends a session."""
        self._records.erase(KIND, [_name(token)])

    def _forget(self) -> None:
        old = [record.id for record in self._records.select(KIND, _ALL) if record.body["until"] < time.time()]
        if old:
            self._records.erase(KIND, old)


def _name(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:32]
