"""Parts of an index: blocks of fresh documents and merged segments, read, rearranged and written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowhow.ports import Floats, IndexedPassage, Ints
from knowhow.store.bits import Codes, Signs, encode, turn
from knowhow.store.connection import Connection, fetch, fetch_one
from knowhow.store.postings import Lengths, Postings, count_terms, pack, pages, unpack

MOST = 65_536
"""Passages of a segment or block: a position in it fits two bytes."""

Numbers = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Loose:
    """Postings in memory, in no order: those of blocks, and of what an overlay adds."""

    term: Ints
    passage: Numbers
    frequency: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Paged:
    """Postings on disk: row `first + i` of `page` holds the terms from `terms[i]` up to `terms[i + 1]`."""

    terms: Ints
    first: int


@dataclass(frozen=True, slots=True)
class Part:
    """What is kept in memory of a stretch of passages. Parallel arrays; `codes` is uint64[words, n]."""

    ids: Ints
    bodies: Numbers
    lengths: Lengths
    codes: Codes
    postings: Paged | Loose


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of passages with all its postings, to be rearranged. `codes` is uint64[n, words]."""

    ids: Ints
    bodies: Numbers
    lengths: Lengths
    codes: Codes
    postings: Postings


@dataclass(frozen=True, slots=True)
class Block:
    """At most `MOST` consecutive passages of one document, ready to be written."""

    codes: Codes
    lengths: Lengths
    postings: Postings


def make_blocks(text: str, passages: Sequence[IndexedPassage], vectors: Floats, signs: Signs) -> list[Block]:
    """The searchable part of a document's passages; `vectors` float32[n, dims] as they are stored."""
    blocks = []
    for start in range(0, len(passages), MOST):
        cut = [(passage.lead, text[passage.start : passage.end]) for passage in passages[start : start + MOST]]
        postings, lengths = count_terms(cut)
        blocks.append(Block(encode(turn(vectors[start : start + MOST], signs)), lengths, postings))
    return blocks


def write_blocks(connection: Connection, idx: int, body: int, first: int, blocks: Iterable[Block]) -> None:
    """Adds the blocks of `body`, whose passages have the ids `first` and following."""
    for block in blocks:
        size = len(block.lengths)
        connection.execute(
            "insert into block (idx, body, first, passages, codes, lengths, postings) values (?,?,?,?,?,?,?)",
            (idx, body, first, size, block.codes.tobytes(), block.lengths.tobytes(), pack(block.postings)),
        )
        first += size


def read_block(connection: Connection, key: int) -> Run:
    """The block with this row id."""
    body, first, size, codes, lengths, postings = fetch_one(
        connection, "select body, first, passages, codes, lengths, postings from block where id = ?", (key,)
    )
    ids = np.arange(first, first + size, dtype=np.int64)
    return Run(ids, np.full(size, body, np.int32), _lengths(lengths), _codes(codes, size), unpack(postings))


def read_part(connection: Connection, key: int) -> Part:
    """What memory keeps of the segment with this row id; its postings stay on disk."""
    size, ids, bodies, codes, lengths, first, terms = fetch_one(
        connection,
        "select passages, ids, bodies, codes, lengths, first_page, page_terms from segment where id = ?",
        (key,),
    )
    turned = np.ascontiguousarray(_codes(codes, size).T)
    paged = Paged(np.frombuffer(terms, np.int64), first)
    return Part(np.frombuffer(ids, np.int64), np.frombuffer(bodies, np.int32), _lengths(lengths), turned, paged)


def read_segment(connection: Connection, key: int) -> Run:
    """The segment with this row id and all its postings."""
    part = read_part(connection, key)
    assert isinstance(part.postings, Paged)
    paged = part.postings
    rows = fetch(
        connection,
        "select data from page where id >= ? and id < ? order by id",
        (paged.first, paged.first + len(paged.terms)),
    )
    postings = _joined([unpack(data) for (data,) in rows])
    return Run(part.ids, part.bodies, part.lengths, np.ascontiguousarray(part.codes.T), postings)


def loose_part(runs: Sequence[Run]) -> Part | None:
    """Blocks as one part in memory; None when there are none."""
    if not runs:
        return None
    starts = np.cumsum([0] + [len(run.ids) for run in runs[:-1]])
    postings = Loose(
        np.concatenate([run.postings.term for run in runs]),
        np.concatenate([run.postings.passage + np.int32(at) for run, at in zip(runs, starts, strict=True)]),
        np.concatenate([run.postings.frequency for run in runs]),
    )
    return Part(
        np.concatenate([run.ids for run in runs]),
        np.concatenate([run.bodies for run in runs]),
        np.concatenate([run.lengths for run in runs]),
        np.ascontiguousarray(np.concatenate([run.codes for run in runs]).T),
        postings,
    )


def rearrange(runs: Sequence[Run], live: Numbers) -> Iterator[tuple[bool, Run]]:
    """`runs` merged and cut to at most `MOST` passages, each sorted by (body, id); True marks history.

    `live` (sorted) are the bodies that still answer; the others' passages go to history.
    """
    ids = np.concatenate([run.ids for run in runs])
    bodies = np.concatenate([run.bodies for run in runs])
    lengths = np.concatenate([run.lengths for run in runs])
    codes = np.concatenate([run.codes for run in runs])
    starts = np.cumsum([0] + [len(run.ids) for run in runs[:-1]])
    passage = np.concatenate([run.postings.passage + np.int32(at) for run, at in zip(runs, starts, strict=True)])
    term = np.concatenate([run.postings.term for run in runs])
    frequency = np.concatenate([run.postings.frequency for run in runs])
    alive = np.isin(bodies, live)
    place = np.empty(len(ids), np.int64)
    for history, group in ((False, alive), (True, ~alive)):
        members = np.flatnonzero(group)
        members = members[np.lexsort((ids[members], bodies[members]))]
        for start in range(0, len(members), MOST):
            chosen = members[start : start + MOST]
            place[:] = -1
            place[chosen] = np.arange(len(chosen))
            target = place[passage]
            kept = np.flatnonzero(target >= 0)
            kept = kept[np.argsort(term[kept], kind="stable")]
            postings = Postings(term[kept], target[kept].astype(np.uint16), frequency[kept])
            yield history, Run(ids[chosen], bodies[chosen], lengths[chosen], codes[chosen], postings)


def write_segment(connection: Connection, idx: int, history: bool, run: Run) -> None:
    """Adds `run` as a segment."""
    packed = list(pages(run.postings))
    first = connection.reserve("page", len(packed))
    connection.executemany(
        "insert into page (id, data) values (?,?)", [(first + i, data) for i, (_, data) in enumerate(packed)]
    )
    terms = [term for term, _ in packed]
    connection.execute(
        "insert into segment (idx, history, passages, ids, bodies, codes, lengths, first_page, page_terms) "
        "values (?,?,?,?,?,?,?,?,?)",
        (
            *(idx, int(history), len(run.ids), run.ids.tobytes(), run.bodies.tobytes(), run.codes.tobytes()),
            *(run.lengths.tobytes(), first, np.array(terms, np.int64).tobytes()),
        ),
    )


def delete_segment(connection: Connection, key: int) -> None:
    """Removes a segment with its pages."""
    first, terms = fetch_one(connection, "select first_page, page_terms from segment where id = ?", (key,))
    connection.execute("delete from page where id >= ? and id < ?", (first, first + len(terms) // 8))
    connection.execute("delete from segment where id = ?", (key,))


def live_bodies(connection: Connection, bodies: Iterable[Numbers]) -> Numbers:
    """Those of `bodies` that still answer, sorted."""
    asked = np.unique(np.concatenate([np.zeros(0, np.int32), *bodies]))
    rows = fetch(
        connection,
        "select id from body where version > 0 and id in (select value from json_each(?)) order by id",
        (json.dumps(asked.tolist()),),
    )
    return np.array([body for (body,) in rows], np.int32)


def _joined(pieces: Sequence[Postings]) -> Postings:
    if not pieces:
        return Postings(np.zeros(0, np.int64), np.zeros(0, np.uint16), np.zeros(0, np.uint8))
    return Postings(
        np.concatenate([piece.term for piece in pieces]),
        np.concatenate([piece.passage for piece in pieces]),
        np.concatenate([piece.frequency for piece in pieces]),
    )


def _lengths(data: bytes) -> Lengths:
    return np.frombuffer(data, np.uint16)


def _codes(data: bytes, size: int) -> Codes:
    return np.frombuffer(data, np.uint64).reshape(size, -1)
