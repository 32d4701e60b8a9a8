"""Erasing versions for good: what outlived its retention, or a whole document under every name it ever had."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable

import numpy as np

from knowhow.store import audit
from knowhow.store.connection import Connection, fetch, fetch_one
from knowhow.store.postings import Postings
from knowhow.store.segments import Numbers, Run, delete_segment, read_segment, write_segment
from knowhow.store.writing import count, next_generation
from knowhow.types import Action, AuditEntry, DocumentState, Erased


def outdated(connection: Connection, before: float) -> list[int]:
    """Row ids of the versions that ended before that time."""
    return [key for (key,) in fetch(connection, "select id from version where valid_to < ? order by id", (before,))]


def lineage(connection: Connection, uri: str) -> list[int]:
    """Row ids of every version of `uri`, and of the versions under other uris that its content moved from or to.

    A uri can be used again for something else after a move, so that of another uri only the stretch between two
    moves is taken that shares a content.
    """
    rows = fetch(connection, "select v.id from item i join version v on v.item = i.id where i.uri = ?", (uri,))
    found = {key for (key,) in rows}
    while True:
        shared = fetch(connection, _LINKED, {"own": json.dumps(sorted(found))})
        more = set(found)
        for key, item, number in shared:
            if key not in found:
                more.update(_stay(connection, item, number))
        if more == found:
            return sorted(found)
        found = more


# Versions with the same content, and those that a move ended or began.
_LINKED = """
with own as (select v.*, i.uri from version v join item i on i.id = v.item
             where v.id in (select value from json_each(:own)))
select o.id, o.item, o.number from own join version o on o.body = own.body
union select o.id, o.item, o.number from own
  join audit a on a.uri = own.uri and a.action = 'moved' and a.before = own.number
  join item j on j.uri = a.other join version o on o.item = j.id and o.valid_from = a.at
union select o.id, o.item, o.number from own
  join audit a on a.other = own.uri and a.action = 'moved' and a.at = own.valid_from
  join item j on j.uri = a.uri join version o on o.item = j.id and o.number = a.before
"""


def _stay(connection: Connection, item: int, number: int) -> Iterable[int]:
    """The versions of `item` between the moves away from it before and after version `number`."""
    rows = fetch(
        connection,
        "select a.before from audit a join item i on i.uri = a.uri where i.id = ? and a.action = ?",
        (item, Action.MOVED),
    )
    ends = [end for (end,) in rows]
    first = max((end for end in ends if end < number), default=0)
    last = min((end for end in ends if end >= number), default=2**62)
    stay = "select id from version where item = ? and number > ? and number <= ?"
    return [key for (key,) in fetch(connection, stay, (item, first, last))]


def measure(connection: Connection, versions: Collection[int]) -> Erased:
    """What erasing these versions would take."""
    keys = json.dumps(sorted(versions))
    uris = fetch(
        connection,
        "select distinct i.uri from version v join item i on i.id = v.item "
        "where v.id in (select value from json_each(?)) order by i.uri",
        (keys,),
    )
    passages = fetch_one(
        connection,
        "select coalesce(sum(c.passages), 0) from cut c where c.body in (select value from json_each(?))",
        (json.dumps(_only_theirs(connection, keys)),),
    )
    return Erased(tuple(uri for (uri,) in uris), len(versions), passages)


def erase(connection: Connection, versions: Collection[int], action: Action, by: str) -> None:
    """Deletes these versions with everything that only they need, and logs it. Within a write transaction.

    A version that still answers stops; the numbers of versions are never given out again.
    """
    keys = json.dumps(sorted(versions))
    generation = next_generation(connection)
    _log(connection, keys, action, by)
    connection.execute(
        "update item set open = 0, updated = ?, state = case state when 'ready' then ? else state end "
        "where open in (select value from json_each(?))",
        (time.time(), DocumentState.REMOVED, keys),
    )
    connection.execute(
        "update body set version = 0, changed = ? where version in (select value from json_each(?))", (generation, keys)
    )
    bodies = _only_theirs(connection, keys)
    connection.execute("delete from attribute where version in (select value from json_each(?))", (keys,))
    connection.execute("delete from version where id in (select value from json_each(?))", (keys,))
    _delete_bodies(connection, bodies)
    count(connection, generation, content=True)


def delete_items(connection: Connection, uris: Collection[str]) -> None:
    """Deletes the rows of uris that have no version left, with what the audit log says about them but that they were
    there."""
    for uri in uris:
        row = fetch(
            connection,
            "select i.id, i.tagset from item i where i.uri = ? and not exists "
            "(select 1 from version v where v.item = i.id)",
            (uri,),
        )
        for key, tagset in row:
            audit.forget(connection, uri, tagset)
            connection.execute("delete from item where id = ?", (key,))
            connection.execute("delete from stamp where uri = ?", (uri,))


def _only_theirs(connection: Connection, keys: str) -> list[int]:
    """The contents that no version but those in `keys` has."""
    rows = fetch(
        connection,
        "select distinct v.body from version v where v.id in (select value from json_each(?1)) and not exists "
        "(select 1 from version o where o.body = v.body and o.id not in (select value from json_each(?1)))",
        (keys,),
    )
    return [body for (body,) in rows]


def _log(connection: Connection, keys: str, action: Action, by: str) -> None:
    rows = fetch(
        connection,
        "select i.uri, v.number, v.source, i.tagset, v.id = i.open from version v join item i on i.id = v.item "
        "where v.id in (select value from json_each(?)) order by v.id",
        (keys,),
    )
    now = time.time()
    entries = [AuditEntry(now, action, uri, number, 0, source, by) for uri, number, source, _, _ in rows]
    audit.write(connection, entries, [row[3] for row in rows])


def _delete_bodies(connection: Connection, bodies: Collection[int]) -> None:
    keys = json.dumps(sorted(bodies))
    cuts = fetch(
        connection, "select first, first + passages from cut where body in (select value from json_each(?))", (keys,)
    )
    connection.executemany("delete from passage where id >= ? and id < ?", cuts)
    for table, column in (("cut", "body"), ("block", "body"), ("text", "body"), ("spans", "body"), ("body", "id")):
        connection.execute(f"delete from {table} where {column} in (select value from json_each(?))", (keys,))
    gone = np.array(sorted(bodies), np.int32)
    for key, idx, history, held in fetch(connection, "select id, idx, history, bodies from segment"):
        if np.isin(np.frombuffer(held, np.int32), gone).any():
            rest = _without(read_segment(connection, key), gone)
            delete_segment(connection, key)
            if len(rest.ids):
                write_segment(connection, idx, bool(history), rest)


def _without(run: Run, bodies: Numbers) -> Run:
    """`run` without the passages of `bodies`."""
    keep = ~np.isin(run.bodies, bodies)
    place = np.cumsum(keep) - 1
    kept = keep[run.postings.passage]
    postings = Postings(
        run.postings.term[kept],
        place[run.postings.passage[kept]].astype(np.uint16),
        run.postings.frequency[kept],
    )
    return Run(run.ids[keep], run.bodies[keep], run.lengths[keep], run.codes[keep], postings)
