"""A server in use: equal to files, moved there and back, restarted, misconfigured, and behind the command line."""

from __future__ import annotations

import json
import os
import random
import secrets
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from contract.store_model import ALL, DIMS, SPEC, put, vector_of
from knowhow.cli.main import app
from knowhow.errors import ConfigProblem
from knowhow.ports import Change, Fail, Record, Remove, SetAccess, Source, Store
from knowhow.store.postgres import PostgresRecords, PostgresStore
from knowhow.store.postgres_address import Address, read_address
from knowhow.store.postgres_dialect import Transaction
from knowhow.store.records import SqliteRecords
from knowhow.store.sqlite import SqliteStore
from knowhow.store.transfer import Transferred, transfer
from knowhow.types import Filter
from postgres_server import PASSWORD, Server

pytestmark = pytest.mark.real
WORDS = "laptop return days delivery shop order policy kettle blue green river mill".split()


@pytest.fixture
def address(server: Server) -> Address:
    """A schema nobody has used."""
    return read_address(server.url(f"u_{secrets.token_hex(8)}"), {})


@pytest.fixture
def store(address: Address) -> Iterator[PostgresStore]:
    store = PostgresStore(address)
    yield store
    store.close()


def changes(seed: int, steps: int) -> Iterator[list[Change]]:
    """A random history of twelve documents."""
    draw = random.Random(seed)
    known: set[str] = set()
    for _ in range(steps):
        batch: list[Change] = []
        for _ in range(draw.randrange(1, 4)):
            uri = f"{draw.choice('ab')}/{draw.randrange(6)}.md"
            text = " ".join(draw.choice(WORDS) for _ in range(draw.randrange(1, 40)))
            access = draw.choice([(), (), ("hr",), ("hr", "it")])
            kind = draw.random()
            if kind < 0.7 or uri not in known:
                moved = draw.choice(sorted(known)) if known and draw.random() < 0.1 else ""
                metadata = {"year": draw.choice([2024, 2025]), "long": "x" * draw.choice([1, 5000])}
                batch.append(
                    put(uri, text, access=access, metadata=metadata, title=draw.choice(WORDS), moved_from=moved)
                )
                known.add(uri)
            elif kind < 0.8:
                batch.append(Remove(uri))
            elif kind < 0.9:
                batch.append(Fail(uri, "docs", "damaged", "byte 7"))
            else:
                batch.append(SetAccess(uri, frozenset(access)))
        yield batch


def answers(store: Store, question: str, filter: Filter, depth: int = 8) -> tuple[dict[int, float], dict[int, float]]:
    """Keyword scores and cosines by passage."""
    found = store.candidates(SPEC.id, question, vector_of(question), depth, filter)
    ids = found.ids.tolist()
    return dict(zip(ids, found.keyword.tolist(), strict=True)), dict(zip(ids, found.vector.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_server_and_files_give_the_same_answers_through_a_random_history(
    tmp_path: Path, store: PostgresStore, seed: int
) -> None:
    draw = random.Random(seed)
    with closing(SqliteStore(tmp_path / "knowhow.db")) as files:
        for each in (files, store):
            each.create_index(SPEC)
        for step, batch in enumerate(changes(seed, 25)):
            for each in (files, store):
                each.apply(SPEC.id, batch)
                if step % 10 == 9:
                    each.optimize()
            question = " ".join(draw.sample(WORDS, 3))
            where: Any = draw.choice([{}, {"year": 2024}, {"uri": "a/"}, {"long": "x" * 5000}])
            filter = Filter(frozenset(draw.choice([(), ("hr",), ("*",)])), where)
            here, there = answers(files, question, filter), answers(store, question, filter)
            assert here[0] == there[0], "keyword scores come from the same numbers"
            assert here[1] == pytest.approx(there[1], abs=1e-5)
        listed = [
            [(i.uri, i.version, i.state, i.access) for i in e.documents(ALL, removed=True)] for e in (files, store)
        ]
        assert listed[0] == listed[1]
        assert [(e.action, e.uri, e.before) for e in files.audit(ALL)] == [
            (e.action, e.uri, e.before) for e in store.audit(ALL)
        ]
    assert [check for check in store.check() if not check.ok] == []


def end(events: Generator[object, None, Transferred]) -> Transferred:
    while True:
        try:
            next(events)
        except StopIteration as done:
            result: Transferred = done.value
            return result


def filled(folder: Path) -> tuple[SqliteStore, SqliteRecords]:
    store, records = SqliteStore(folder / "knowhow.db"), SqliteRecords(folder / "state.db")
    store.create_index(SPEC)
    for batch in changes(7, 30):
        store.apply(SPEC.id, batch)
    store.apply(SPEC.id, [put("nul.md", "a\0b", title="tab\there, nul\0there", metadata={"n": "a\0b"})])
    store.optimize()
    store.apply(SPEC.id, [put("late.md", "laptop " * 20)])
    store.purge("a/0.md")
    store.put_source(Source("docs", "/data/docs", access=frozenset({"hr"})))
    records.put([Record("trace", str(i), {"q": f"é{i}\0"}, 1.5 + i, uris=frozenset({"late.md"})) for i in range(20)])
    return store, records


def test_a_workspace_moves_to_a_server_and_back(tmp_path: Path, address: Address) -> None:
    back = tmp_path / "back"
    back.mkdir()
    source = filled(tmp_path)
    middle = PostgresStore(address), PostgresRecords(address)
    target = SqliteStore(back / "knowhow.db"), SqliteRecords(back / "state.db")
    there = end(transfer(source, middle, questions=20))
    again = end(transfer(middle, target, questions=20))
    assert there == again
    assert there.questions == 20
    assert there.records["record"] == 20
    assert target[0].revision() == source[0].revision() == middle[0].revision()
    stores: list[Store] = [source[0], middle[0], target[0]]
    for each in stores:
        # Ids go on where they were: what was erased is never mistaken for what comes next.
        each.apply(SPEC.id, [put("a/0.md", "kettle " * 10), put("late.md", "river " * 10)])
        assert [check for check in each.check() if not check.ok] == []
    last = [
        [p.id for p in each.passages_of(SPEC.id, "a/0.md", each.versions("a/0.md", ALL)[0].version)] for each in stores
    ]
    assert last[0] == last[1] == last[2]
    found = [answers(each, "kettle river", ALL)[0] for each in stores]
    assert found[0] == found[1] == found[2]
    for part in (*source, *middle, *target):
        part.close()


def test_nothing_is_copied_over(tmp_path: Path, address: Address) -> None:
    source, target = filled(tmp_path), (PostgresStore(address), PostgresRecords(address))
    target[0].apply(target[0].create_index(SPEC), [put("mine.md", "kettle")])
    with pytest.raises(ConfigProblem, match="holds something already"):
        end(transfer(source, target, questions=0))
    assert [info.uri for info in target[0].documents(ALL)] == ["mine.md"]
    for part in (*source, *target):
        part.close()


def test_a_copy_that_differs_is_told(tmp_path: Path, address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    insert = Transaction.executemany

    def damaging(self: Transaction, sql: str, rows: Any, /) -> object:
        if "into passage" in sql:
            rows = [(*rows[0][:3], rows[0][3] + 1, *rows[0][4:]), *rows[1:]]
        return insert(self, sql, rows)

    source, target = filled(tmp_path), (PostgresStore(address), PostgresRecords(address))
    monkeypatch.setattr(Transaction, "executemany", damaging)
    with pytest.raises(ConfigProblem, match="table passage differs"):
        end(transfer(source, target, questions=0))
    for part in (*source, *target):
        part.close()


def test_both_have_the_same_tables(tmp_path: Path, server: Server, address: Address) -> None:
    pairs = (
        (SqliteStore(tmp_path / "knowhow.db"), PostgresStore(address), address.schema),
        (SqliteRecords(tmp_path / "state.db"), PostgresRecords(address), f"{address.schema}_state"),
    )
    for files, on_server, schema in pairs:
        with files.database.reading() as connection:
            rows = connection.execute(
                "select t.name, c.name from sqlite_schema t join pragma_table_info(t.name) c "
                "where t.type = 'table' and t.name not like 'sqlite%' order by t.name, c.cid"
            ).fetchall()
        there = server.psql(
            "select table_name || ' ' || column_name from information_schema.columns where "
            f"table_schema = '{schema}' and table_name <> 'format' order by table_name collate \"C\", ordinal_position"
        )
        assert [" ".join(row) for row in rows] == there.splitlines()
        files.close()
        on_server.close()


# a server that cannot be used


def problem(url: str, variables: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigProblem) as caught:
        PostgresStore(read_address(url, variables or {}))
    message = str(caught.value)
    assert "\n" not in message
    assert PASSWORD not in message
    assert "hunter2" not in message
    return message


def test_a_server_that_is_not_there_is_named(server: Server) -> None:
    message = problem("postgresql://knowhow@127.0.0.1:1/knowhow")
    assert "127.0.0.1:1" in message
    assert "no server answers there" in message


def test_passwords(server: Server) -> None:
    url = f"postgresql://knowhow:${{DB}}@127.0.0.1:{server.port}/knowhow?schema=pw"
    PostgresStore(read_address(url, {"DB": PASSWORD})).close()
    assert "the password is wrong" in problem(url, {"DB": "hunter2"})
    assert "password is needed" in problem(f"postgresql://knowhow@127.0.0.1:{server.port}/knowhow")


def test_a_missing_database_role_or_extension_is_named(server: Server) -> None:
    assert "createdb" in problem(server.url("x", database="nowhere"))
    assert "refuses this user" in problem(server.url("x", user="nobody_here"))
    server.psql("create database bare owner knowhow", "postgres")
    message = problem(server.url("x", database="bare"))
    assert "create extension vector" in message
    server.psql("drop database bare", "postgres")


def test_schemas_that_are_newer_or_not_ours_are_left_alone(server: Server, address: Address) -> None:
    PostgresStore(address).close()
    server.psql(f"update {address.schema}.format set version = 99")
    assert "pip install --upgrade" in problem(server.url(address.schema))
    assert server.psql(f"select version from {address.schema}.format") == "99"
    name = f"other_{secrets.token_hex(4)}"
    server.psql(f"create schema {name}; create table {name}.orders (id int)")
    assert "other tables" in problem(server.url(name))


def test_a_backup_names_the_servers_own_tool(store: PostgresStore, tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match="pg_dump"):
        store.backup(str(tmp_path / "copy"))


def test_a_failed_commit_leaves_nothing_and_the_store_goes_on(store: PostgresStore) -> None:
    index = store.create_index(SPEC)
    store.apply(index, [put("a.md", "laptop")])
    before = store.revision()
    with pytest.raises(ConfigProblem, match="index row"):
        store.apply(index, [put("c.md", "river"), put("b.md" + secrets.token_hex(9000), "kettle")])
    assert store.revision() == before
    assert [info.uri for info in store.documents(ALL)] == ["a.md"]
    store.apply(index, [put("c.md", "river")])
    assert answers(store, "river", ALL)[0] != {}


def test_after_a_restart_of_the_server_the_next_question_is_answered(server: Server, store: PostgresStore) -> None:
    index = store.create_index(SPEC)
    store.apply(index, [put("a.md", "laptop")])
    server.control("-m", "fast", "restart")
    assert len(answers(store, "laptop", ALL)[0]) == 1
    store.apply(index, [put("b.md", "laptop")])
    assert len(answers(store, "laptop", ALL)[0]) == 2


def test_vectors_are_compared_in_single_precision(store: PostgresStore) -> None:
    index = store.create_index(SPEC)
    store.apply(index, [put("a.md", "laptop " * 50)])
    asked = (vector_of("x") * 3 + np.linspace(0, 1e-3, DIMS)).astype(np.float32)
    found = store.candidates(index, "", asked, 100, ALL)
    vectors = store.vectors(index, [p.embed_hash for p in put("a.md", "laptop " * 50).passages])
    exact = sorted(float(v @ asked / np.linalg.norm(v) / np.linalg.norm(asked)) for v in vectors.values())
    assert sorted(set(found.vector.tolist()))[-1] == pytest.approx(exact[-1], abs=1e-6)


# the command line


def test_the_commands_work_on_a_server(tmp_path: Path, server: Server, address: Address) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "returns.md").write_text("# Returns\n\nA laptop can be returned within 45 days of delivery.\n")
    url = f"postgresql://knowhow:${{DB}}@127.0.0.1:{server.port}/knowhow?schema={address.schema}"
    environ = {"DB": PASSWORD, "KNOWHOW_STORE": url, "KNOWHOW_OFFLINE": "1"}

    def run(*arguments: str, **more: str) -> str:
        result = CliRunner().invoke(app, [*arguments, "-w", str(tmp_path / "desk")], env={**environ, **more})
        assert result.exit_code == 0, result.output
        assert PASSWORD not in result.output
        return result.stdout

    assert CliRunner().invoke(app, ["init", str(tmp_path / "desk")], env=environ).exit_code == 0
    run("ingest", str(tmp_path / "docs"))
    assert not list((tmp_path / "desk").rglob("*.db")), "nothing is kept in files"
    assert "45 days" in run("search", "return a laptop", "--json")
    checks = json.loads(run("doctor", "--json"))["checks"]
    assert any(check["ok"] and "pgvector" in check["detail"] for check in checks)
    assert "${DB}" in run("config", "show")
    copied = json.loads(run("store", "copy", "--to", str(tmp_path / "files"), "--json"))
    assert copied["equal"]
    assert copied["rows"]["corpus"]["item"] == 1
    own = {"KNOWHOW_STORE": "", "KNOWHOW_DATA": str(tmp_path / "files")}
    assert "45 days" in run("search", "return a laptop", "--json", **own)
    refused = CliRunner().invoke(app, ["backup", str(tmp_path / "b"), "-w", str(tmp_path / "desk")], env=environ)
    assert isinstance(refused.exception, ConfigProblem)
    assert "pg_dump" in str(refused.exception)
    assert os.listdir(tmp_path / "files")
