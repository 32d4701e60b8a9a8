"""Integrity: the file, documents and versions, passages, vectors, and the search index that follows from them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from knowhow.errors import ConfigProblem
from knowhow.ports import Floats, Ints, StoreCheck
from knowhow.store import upkeep
from knowhow.store.analyze import ANALYZER_REVISION, searchable, terms
from knowhow.store.bits import Mask, Signs, encode, read_signs, turn
from knowhow.store.bm25 import Weights
from knowhow.store.candidates import Question, find
from knowhow.store.connection import Connection, Database, fetch, fetch_one
from knowhow.store.content import PART_CHARS, Slices
from knowhow.store.filters import Conditions, make_scope
from knowhow.store.postings import LONGEST, MOST_FREQUENT, count_terms, term_numbers
from knowhow.store.segments import (
    Run,
    delete_segment,
    live_bodies,
    read_block,
    read_segment,
    rearrange,
    write_segment,
)
from knowhow.store.snapshot import Follower
from knowhow.store.vectors import VectorCache
from knowhow.store.writing import count, next_generation
from knowhow.types import EVERYTHING, Filter

_SAMPLED = 20
"""Passages per stretch whose terms are counted again, and vectors whose neighbours are looked for."""
_NEIGHBOURS = 10
_RECALL = 0.95
_REBUILT = 16_384
"""Passages counted and encoded at a time while rebuilding."""
_RESTORE = "restore a backup with `knowhow restore`, or with pg_restore where a server has it"
_REINDEX = "run `knowhow reindex`"
_REPAIR = "run `knowhow doctor --repair`"


@dataclass(frozen=True, slots=True)
class _Index:
    idx: int
    name: str
    dims: int
    signs: Signs
    analyzer: int


def examine(database: Database, *, repair: bool) -> list[StoreCheck]:
    """One finding per promise and index. Reads everything once; above a damaged file nothing is looked for."""
    found = [examine_file(database, "file", repair=repair)]
    if not found[0].ok:
        return found
    with database.reading() as connection:
        found += [_documents(connection), _texts(connection)]
        indexes = _indexes(connection)
        dropped = [idx for (idx,) in fetch(connection, "select id from idx where dropped = 1")]
    for index in indexes:
        found += _index(database, index, repair=repair)
    if dropped and repair:
        for idx in dropped:
            upkeep.drop(database, idx)
    if dropped:
        detail = f"{len(dropped)} replaced indexes still take up space"
        found.append(StoreCheck("leftovers", repair, detail, repaired=repair, mend="" if repair else _REPAIR))
    return found


def examine_file(database: Database, name: str, *, repair: bool) -> StoreCheck:
    """What the database itself finds wrong with what it stores."""
    damage, fine = _damage(database)
    if damage and repair and (done := database.mend()):
        left, _ = _damage(database)
        if not left:
            return StoreCheck(name, True, f"{'; '.join(damage)}: {done}", repaired=True)
    return _finding(name, damage, fine, _RESTORE if repair else f"{_REPAIR}, or {_RESTORE}")


def _damage(database: Database) -> tuple[list[str], str]:
    try:
        return database.damage()
    except ConfigProblem as error:
        return [str(error)], ""


def _index(database: Database, index: _Index, *, repair: bool) -> list[StoreCheck]:
    """Each finding rests on those before it: what is damaged below is not looked for above."""
    with database.reading() as connection:
        found = [_passages(connection, index), _vectors(connection, index)]
    if not all(finding.ok for finding in found):
        return found
    found.append(_searchable(database, index, repair=repair))
    if found[-1].ok:
        with database.reading() as connection:
            found += _recall(connection, index)
    return found


def _indexes(connection: Connection) -> list[_Index]:
    rows = fetch(connection, "select id, name, spec, signs, analyzer from idx where dropped = 0 order by id")
    found = []
    for idx, name, spec, signs, analyzer in rows:
        dims = int(json.loads(spec)["dims"])
        found.append(_Index(idx, name, dims, read_signs(signs, dims), analyzer))
    return found


def _documents(connection: Connection) -> StoreCheck:
    """That what answers, what is listed and what is retained agree."""
    wrong = {
        "listed as ready without a current version": "select count(*) from item where state = 'ready' and open = 0",
        "with a current version but not listed as ready": (
            "select count(*) from item where open > 0 and state <> 'ready'"
        ),
        "whose current version is closed or gone": (
            "select count(*) from item i left join version v on v.id = i.open "
            "where i.open > 0 and (v.id is null or v.valid_to is not null or v.item <> i.id)"
        ),
        "whose text answers for another version": (
            "select count(*) from item i join version v on v.id = i.open left join body b on b.id = v.body "
            "where b.id is null or b.version <> i.open or b.tagset <> i.tagset"
        ),
        "answering without being current": (
            "select count(*) from body where version > 0 and version not in (select open from item)"
        ),
        "with two current versions": (
            "select count(*) from (select item from version where valid_to is null group by item "
            "having count(*) > 1) as twice"
        ),
    }
    problems = [f"{many} documents {words}" for words, sql in wrong.items() if (many := fetch_one(connection, sql))]
    many = fetch_one(connection, "select count(*) from item where state = 'ready'")
    return _finding("documents", problems, f"{many} documents, versions in order", _RESTORE)


def _texts(connection: Connection) -> StoreCheck:
    """That every body's text is there as long as it was; some are read."""
    short = fetch_one(
        connection,
        "select count(*) from body b where (b.chars + ?1 - 1) / ?1 <> "
        "(select count(*) from text t where t.body = b.id) or not exists (select 1 from spans s where s.body = b.id)",
        (PART_CHARS,),
    )
    problems = [f"{short} texts are incomplete"] if short else []
    for body, chars in fetch(connection, "select id, chars from body order by random() limit 50"):
        if len(Slices(connection).cut(body, 0, chars)) != chars:
            problems.append(f"text {body} is not the {chars} characters it was")
    many = fetch_one(connection, "select count(*) from body")
    return _finding("texts", problems, f"{many} texts complete", _RESTORE)


def _passages(connection: Connection, index: _Index) -> StoreCheck:
    wrong = {
        "documents answer but are not in this index": (
            "select count(*) from body b where b.version > 0 "
            "and not exists (select 1 from cut c where c.idx = ?1 and c.body = b.id)"
        ),
        "documents miss passages": (
            "select count(*) from cut c where c.idx = ?1 and c.passages <> (select count(*) from passage p "
            # the sign keeps the planner from walking the whole index instead of the few ids
            "where p.id >= c.first and p.id < c.first + c.passages and +p.idx = c.idx and p.body = c.body)"
        ),
        "passages reach beyond their text": (
            "select count(*) from passage p join body b on b.id = p.body where p.idx = ?1 "
            'and (p.start < 0 or p."end" < p.start or p."end" > b.chars)'
        ),
        "passages belong to no document": (
            "select count(*) from passage p where p.idx = ?1 "
            "and not exists (select 1 from cut c where c.idx = p.idx and c.body = p.body)"
        ),
    }
    problems = [f"{many} {words}" for words, sql in wrong.items() if (many := fetch_one(connection, sql, (index.idx,)))]
    many = fetch_one(connection, "select count(*) from passage where idx = ?", (index.idx,))
    return _finding(f"passages of {index.name}", problems, f"{many} passages within their texts", _REINDEX)


def _searchable(database: Database, index: _Index, *, repair: bool) -> StoreCheck:
    """That every passage is in the keyword index and among the sign bits exactly once, as its text says."""
    name = f"search index of {index.name}"
    try:
        with database.reading() as connection:
            problem = _misindexed(connection, index)
    except ConfigProblem as error:
        problem = str(error)
    if not problem:
        return StoreCheck(name, True, "every passage exactly once, terms as counted from the text")
    if not repair:
        return StoreCheck(name, False, problem, mend=_REPAIR)
    with database.writing() as connection:
        rebuild(connection, index.idx, index.signs)
    return StoreCheck(name, True, f"rebuilt: {problem}", repaired=True)


def _misindexed(connection: Connection, index: _Index) -> str:
    """What is wrong with blocks and segments; empty when nothing is."""
    if index.analyzer != ANALYZER_REVISION:
        return f"made by revision {index.analyzer} of the text analyzer, this is {ANALYZER_REVISION}"
    rows = fetch(connection, "select id from passage where idx = ? order by id", (index.idx,))
    wanted = np.array([key for (key,) in rows], np.int64)
    seen = [np.zeros(0, np.int64)]
    for run in _runs(connection, index.idx):
        seen.append(run.ids)
        sums = np.bincount(run.postings.passage, run.postings.frequency, minlength=len(run.ids))
        clipped = np.bincount(run.postings.passage, run.postings.frequency == MOST_FREQUENT, minlength=len(run.ids))
        if len(sums) > len(run.ids) or np.any((sums != run.lengths) & (clipped == 0) & (run.lengths < LONGEST)):
            return "terms are missing from the keyword index"
        if np.isin(run.ids, wanted).all() and (problem := _miscounted(connection, run, index.signs)):
            return problem
    have = np.sort(np.concatenate(seen))
    if not np.array_equal(have, wanted):
        missing, extra = len(np.setdiff1d(wanted, have)), len(have) - len(np.intersect1d(wanted, have))
        return f"{missing} passages are missing from it and {extra} are in it that should not be"
    return ""


def _miscounted(connection: Connection, run: Run, signs: Signs) -> str:
    chosen = np.unique(np.linspace(0, len(run.ids) - 1, _SAMPLED).astype(np.int64))
    texts, vectors = _contents(connection, run.ids[chosen])
    for place, passage in zip(chosen.tolist(), texts, strict=True):
        mine = run.postings.passage == place
        held = dict(zip(run.postings.term[mine].tolist(), run.postings.frequency[mine].tolist(), strict=True))
        counted = Counter(terms(searchable(*passage)))
        wanted = {key: min(MOST_FREQUENT, n) for key, n in zip(term_numbers(counted), counted.values(), strict=True)}
        if held != wanted:
            return f"passage {run.ids[place]} is indexed with other terms than its text has"
    if not np.array_equal(encode(turn(vectors, signs)), run.codes[chosen]):
        return "sign bits differ from those of the stored vectors"
    return ""


def rebuild(connection: Connection, idx: int, signs: Signs) -> None:
    """Makes the search index anew from passages, within the open transaction."""
    connection.execute("delete from block where idx = ?", (idx,))
    for (key,) in fetch(connection, "select id from segment where idx = ?", (idx,)):
        delete_segment(connection, key)
    after = 0
    while rows := fetch(
        connection,
        "select id, body from passage where idx = ? and id > ? order by id limit ?",
        (idx, after, _REBUILT),
    ):
        ids, bodies = np.array(rows, np.int64).T
        texts, vectors = _contents(connection, ids)
        postings, lengths = count_terms(texts)
        run = Run(ids, bodies.astype(np.int32), lengths, encode(turn(vectors, signs)), postings)
        for history, made in rearrange([run], live_bodies(connection, [run.bodies])):
            write_segment(connection, idx, history, made)
        after = rows[-1][0]
    connection.execute("update idx set analyzer = ? where id = ?", (ANALYZER_REVISION, idx))
    count(connection, next_generation(connection), content=True)


def _vectors(connection: Connection, index: _Index) -> StoreCheck:
    many, short = fetch_one(
        connection,
        "select count(*), count(case when length(vector) <> ? then 1 end) from passage where idx = ?",
        (2 * index.dims, index.idx),
    )
    bad = sum(
        int(np.count_nonzero(~np.isfinite(vectors).all(axis=1))) for _, _, vectors in _stretches(connection, index)
    )
    problems = [f"{short + bad} vectors are cut short or not finite"] if short + bad else []
    return _finding(f"vectors of {index.name}", problems, f"{many} vectors finite", _REINDEX)


def _recall(connection: Connection, index: _Index) -> list[StoreCheck]:
    """That the search by sign bits finds what an exact one finds; nothing where there is nothing to find."""
    sampled = fetch(
        connection,
        "select p.vector from passage p join body b on b.id = p.body where p.idx = ? and b.version > 0 "
        "order by random() limit ?",
        (index.idx, _SAMPLED),
    )
    snapshot = Follower().current(connection, index.idx)
    if not sampled or snapshot is None:
        return []
    asked = _floats([vector for (vector,) in sampled], index.dims)
    scope = make_scope(connection, snapshot, Filter(frozenset({EVERYTHING})), Conditions(), frozenset())
    cache = VectorCache(index.dims)
    truth = _nearest(connection, index, asked)
    hits = 0
    for vector, best in zip(asked, truth, strict=True):
        found = find(connection, scope, Question((), vector, _NEIGHBOURS), index.signs, cache, Weights())
        # Counted by score, so that equal vectors may stand for each other.
        hits += int(np.count_nonzero(np.sort(found.vector)[::-1] >= best[: len(found.vector)] - 1e-3))
    recall = hits / max(1, np.count_nonzero(np.any(asked, axis=1)) * truth.shape[1])
    problems = [f"only {recall:.3f} of the nearest passages are found"] if recall < _RECALL else []
    words = f"{recall:.3f} of the {_NEIGHBOURS} nearest are found, {len(asked)} vectors tried"
    return [_finding(f"recall of {index.name}", problems, words, _REINDEX)]


def _nearest(connection: Connection, index: _Index, asked: Floats) -> Floats:
    """float32[n, 10]: the highest cosines among all passages that answer, by looking at each."""
    best = np.zeros((len(asked), 0), np.float32)
    sizes = np.maximum(np.linalg.norm(asked, axis=1, keepdims=True), 1e-9)
    for _, live, vectors in _stretches(connection, index):
        lengths = np.linalg.norm(vectors[live], axis=1)
        scores = (asked @ vectors[live].T) / np.where(lengths > 0, lengths, 1) / sizes
        best = -np.sort(-np.concatenate([best, scores.astype(np.float32)], axis=1), axis=1)[:, :_NEIGHBOURS]
    return best


def _stretches(connection: Connection, index: _Index) -> Iterator[tuple[Ints, Mask, Floats]]:
    """(ids, whether each answers, vectors) of the passages whose vector has the right length."""
    after = 0
    while rows := fetch(
        connection,
        "select p.id, b.version > 0, p.vector from passage p join body b on b.id = p.body "
        "where p.idx = ? and p.id > ? and length(p.vector) = ? order by p.id limit ?",
        (index.idx, after, 2 * index.dims, _REBUILT),
    ):
        after = rows[-1][0]
        flags = np.array([live for _, live, _ in rows], np.bool_)
        yield np.array([key for key, _, _ in rows], np.int64), flags, _floats([v for *_, v in rows], index.dims)


def _runs(connection: Connection, idx: int) -> Iterator[Run]:
    for (key,) in fetch(connection, "select id from block where idx = ?", (idx,)):
        yield read_block(connection, key)
    for (key,) in fetch(connection, "select id from segment where idx = ?", (idx,)):
        yield read_segment(connection, key)


def _contents(connection: Connection, ids: Ints) -> tuple[list[tuple[str, str]], Floats]:
    """((lead, text) of each, float32[n, dims] vectors) of passages, in the order of `ids`, which ascend."""
    rows = fetch(
        connection,
        'select body, start, "end", lead, vector from passage where id in (select value from json_each(?)) order by id',
        (json.dumps(ids.tolist()),),
    )
    slices = Slices(connection)
    texts = [(lead, slices.cut(body, start, end)) for body, start, end, lead, _ in rows]
    return texts, _floats([vector for *_, vector in rows], len(rows[0][4]) // 2)


def _floats(vectors: Sequence[bytes], dims: int) -> Floats:
    return np.frombuffer(b"".join(vectors), np.float16).reshape(len(vectors), dims).astype(np.float32)


def _finding(name: str, problems: list[str], fine: str, mend: str) -> StoreCheck:
    return StoreCheck(name, not problems, "; ".join(problems) or fine, mend=mend if problems else "")
