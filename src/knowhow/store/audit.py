"""The audit log: who changed what of the corpus and when, written in the transaction of the change itself."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from knowhow.store.connection import Connection, fetch, fetch_one
from knowhow.store.filters import opens
from knowhow.types import EVERYTHING, Action, AuditEntry, Filter

_LISTED = 500
"""Entries read in one transaction while listing."""
_VERBS = frozenset({"ingest", "documents", "purge", "prune", "restore", "reindex", "demo"})


def actor() -> str:
    """Who acts in this process: user, program and command, e.g. "kim: knowhow ingest".

    Without further arguments: they may name what not everybody may see.
    """
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # no such user in the password file, as in many containers
        user = f"uid {os.getuid()}"
    verbs = takewhile(_VERBS.__contains__, sys.argv[1:])
    return f"{user}: {' '.join([Path(sys.argv[0]).name or 'python', *verbs])}"


def write(connection: Connection, entries: Sequence[AuditEntry], tags: Sequence[int]) -> None:
    """Adds entries; `tags` are the tag sets their documents demand now."""
    connection.executemany(
        "insert into audit (at, action, uri, before, after, source, by, other, detail, tagset) "
        "values (?,?,?,?,?,?,?,?,?,?)",
        [
            (e.at, e.action, e.uri, e.before, e.after, e.source, e.by, e.other, e.detail, tagset)
            for e, tagset in zip(entries, tags, strict=True)
        ],
    )


def page_of_audit(
    connection: Connection, filter: Filter, since: float | None, uri: str | None, after: int
) -> tuple[list[AuditEntry], int]:
    """(what may be seen of the next entries, the id to go on after or 0 at the end).

    A document's tags of today decide; those it had last where it was erased. A name that may not be seen is left out
    of the entries of others.
    """
    rows = fetch(
        connection,
        "select a.id, a.at, a.action, a.uri, a.before, a.after, a.source, a.by, a.other, a.detail, t.tags, o.tags "
        "from audit a left join item i on i.uri = a.uri join tagset t on t.id = coalesce(i.tagset, a.tagset) "
        "left join item j on j.uri = a.other and a.other <> '' left join tagset o on o.id = j.tagset "
        "where a.id > ? and (? is null or a.at >= ?) and (? is null or a.uri = ?) order by a.id limit ?",
        (after, since, since, uri, uri, _LISTED),
    )
    found = []
    for _, at, action, name, before, now, source, by, other, detail, tags, other_tags in rows:
        if not opens(filter.access, frozenset(json.loads(tags))):
            continue
        named = other_tags is not None and opens(filter.access, frozenset(json.loads(other_tags)))
        if EVERYTHING in filter.access:
            named = True
        entry = AuditEntry(at, Action(action), name, before, now, source, by, other if named else "", detail)
        found.append(entry)
    return found, rows[-1][0] if len(rows) == _LISTED else 0


def last_version(connection: Connection, uri: str) -> int:
    """The highest version number `uri` ever had, so that a number never stands for two texts."""
    sql = "select max(case when before > after then before else after end) from audit where uri = ?"
    return fetch_one(connection, sql, (uri,)) or 0


def forget(connection: Connection, uri: str, tagset: int) -> None:
    """Takes what was said of an erased document out of its entries; they stay as closed as it was last."""
    connection.execute("update audit set detail = '', other = '', tagset = ? where uri = ?", (tagset, uri))
    connection.execute("update audit set other = '' where other = ?", (uri,))
