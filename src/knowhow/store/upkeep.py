"""Merging blocks into segments and segments into larger ones, at a bounded cost per write, beside readers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from knowhow.store.connection import Connection, Database, fetch, fetch_one
from knowhow.store.segments import (
    MOST,
    delete_segment,
    live_bodies,
    read_block,
    read_segment,
    rearrange,
    write_segment,
)
from knowhow.store.snapshot import Snapshot
from knowhow.store.writing import count, next_generation

FLUSH = 4096
"""Passages in blocks at which they become a segment: what every reader keeps searching without an order."""
FAN = 4
"""Segments of one tier that are merged into one of the next; each passage is rewritten at most twice more."""
_TIERS = (FLUSH * FAN, MOST * 3 // 4)
_DROPPED_AT_ONCE = 2000
"""Rows deleted in one transaction, so that a writer elsewhere waits for tens of milliseconds at most."""


@dataclass(frozen=True, slots=True)
class Merge:
    """Rows of `block` and `segment` that become new segments."""

    blocks: tuple[int, ...] = ()
    segments: tuple[int, ...] = ()


def due(connection: Connection, idx: int) -> Merge | None:
    """The next merge that is worth its cost; None when there is none."""
    waiting = fetch_one(connection, "select coalesce(sum(passages), 0) from block where idx = ?", (idx,))
    if waiting >= FLUSH:
        return _all_blocks(connection, idx)
    tiers: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for key, history, passages in fetch(connection, "select id, history, passages from segment where idx = ?", (idx,)):
        tier = sum(passages >= border for border in _TIERS)
        tiers.setdefault((history, tier), []).append((passages, key))
    for (_, tier), members in sorted(tiers.items()):
        if tier < len(_TIERS) and len(members) >= FAN:
            return Merge(segments=_smallest(members))
    return None


def worn(snapshot: Snapshot, share: float) -> Merge | None:
    """A segment with more than `share` of its passages dead; they move to history."""
    at = 0
    for key, part in snapshot.segments.items():
        size = len(part.ids)
        if size - int(snapshot.alive[at : at + size].sum()) > share * size:
            return Merge(segments=(key,))
        at += size
    return None


def everything(database: Database, idx: int) -> Iterator[Merge]:
    """What is left to merge until every segment but one is full; each plan is to be carried out before the next."""
    with database.reading() as connection:
        blocks = _all_blocks(connection, idx)
    if blocks.blocks:
        yield blocks
    for history in (0, 1):
        while True:
            with database.reading() as connection:
                members = fetch(
                    connection,
                    "select passages, id from segment where idx = ? and history = ? and passages < ?",
                    (idx, history, _TIERS[-1]),
                )
            if len(members) < 2:
                break
            yield Merge(segments=_smallest(members))


def merge(database: Database, idx: int, plan: Merge) -> None:
    """Carries out `plan`, or leaves it when another process was faster. The work is done outside the write lock."""
    with database.reading() as connection:
        if not _still_there(connection, plan):
            return
        runs = [read_block(connection, key) for key in plan.blocks]
        runs += [read_segment(connection, key) for key in plan.segments]
        live = live_bodies(connection, [run.bodies for run in runs])
    made = list(rearrange(runs, live))
    with database.writing() as connection:
        if not _still_there(connection, plan):
            return
        for history, run in made:
            write_segment(connection, idx, history, run)
        for key in plan.blocks:
            connection.execute("delete from block where id = ?", (key,))
        for key in plan.segments:
            delete_segment(connection, key)
        count(connection, next_generation(connection), content=False)


def drop(database: Database, idx: int) -> None:
    """Deletes the rows of an index marked as dropped, a stretch at a time; going on after a crash is safe."""
    sql = (
        "delete from passage where id in (select id from passage where idx = ? limit ?)",
        "delete from block where id in (select id from block where idx = ? limit ?)",
        "delete from cut where idx = ? and body in (select body from cut where idx = ? limit ?)",
    )
    for statement in sql:
        values = (idx,) * (statement.count("?") - 1) + (_DROPPED_AT_ONCE,)
        gone = _DROPPED_AT_ONCE
        while gone == _DROPPED_AT_ONCE:
            with database.writing() as connection:
                connection.execute(statement, values)
                gone = connection.changes()
    with database.reading() as connection:
        segments = fetch(connection, "select id from segment where idx = ?", (idx,))
    for key in segments:
        with database.writing() as connection:
            delete_segment(connection, *key)
    with database.writing() as connection:
        connection.execute("delete from idx where id = ?", (idx,))


def _all_blocks(connection: Connection, idx: int) -> Merge:
    rows = fetch(connection, "select id from block where idx = ? order by id", (idx,))
    return Merge(blocks=tuple(key for (key,) in rows))


def _smallest(members: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """The smallest segments that together fill one, as far as there are."""
    chosen: list[int] = []
    total = 0
    for passages, key in sorted(members):
        if total >= MOST:
            break
        chosen.append(key)
        total += passages
    return tuple(chosen)


def _still_there(connection: Connection, plan: Merge) -> bool:
    for table, keys in (("block", plan.blocks), ("segment", plan.segments)):
        for key in keys:
            if fetch_one(connection, f"select 1 from {table} where id = ?", (key,)) is None:
                return False
    return True
