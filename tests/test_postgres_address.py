"""A server is named without its password, and statements are translated without touching what they mean."""

from __future__ import annotations

import pytest

from knowhow.errors import ConfigProblem
from knowhow.store.postgres_address import EXAMPLE, is_address, read_address
from knowhow.store.postgres_dialect import translate

SECRET = "p@ss w/rd"


def test_the_password_comes_from_the_variable_and_is_never_shown() -> None:
    address = read_address("postgresql://kim:${DB}@db.example.org:5433/know?schema=hr&sslmode=require", {"DB": SECRET})
    assert address.options == {
        "dbname": "know",
        "host": "db.example.org",
        "port": "5433",
        "user": "kim",
        "password": SECRET,
        "sslmode": "require",
    }
    assert address.schema == "hr"
    assert address.shown == "postgresql://kim@db.example.org:5433/know?schema=hr"
    assert SECRET not in repr(address) + str(address)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"postgresql://kim:{SECRET.replace('@', '').replace('/', '')}@h/db", "environment variable"),
        ("postgresql://kim@h/db?password=p%40ss", "environment variable"),
        ("postgresql://kim:${DB}x@h/db", "environment variable"),
        ("postgresql://kim:${UNSET}@h/db", "UNSET, which is not set"),
        ("postgresql://kim@h/", "does not name"),
        ("postgresql://kim@h:port/db", "cannot be|can be read"),
        ("postgresql://kim@h/db?schema=a;drop", "schema"),
        ('postgresql://kim@h/db?schema=a"b', "schema"),
    ],
)
def test_what_cannot_be_used_is_refused_without_quoting_a_password(url: str, words: str) -> None:
    with pytest.raises(ConfigProblem, match=words) as caught:
        read_address(url, {"DB": SECRET})
    assert "ss w" not in str(caught.value)
    assert "p%40ss" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("postgresql:///db", True),
        ("postgresql://u@/db?host=/var/run/postgresql", True),
        ("postgresql://localhost/db", True),
        ("postgresql://127.0.0.1/db", True),
        ("postgresql://[::1]/db", True),
        ("postgresql://10.0.0.7/db", False),
        ("postgresql://u@/db?host=db.example.org", False),
    ],
)
def test_only_sockets_and_loopback_are_this_machine(url: str, here: bool) -> None:
    assert read_address(url, {}).on_this_machine is here


def test_places_are_told_apart() -> None:
    assert is_address(EXAMPLE)
    assert is_address("postgres://h/d")
    assert not is_address("backups/postgresql")


@pytest.mark.parametrize(
    ("sql", "translated"),
    [
        ("select a from t where b = ? and c = :name", "select a from t where b = %s and c = %(name)s"),
        ("select ?1 + ?1", "select %(1)s + %(1)s"),
        ("select 5 % 3, v::halfvec, ?::vector", "select 5 %% 3, v::halfvec, %s::vector"),
        (
            "delete from t where id in (select value from json_each(?))",
            "delete from t where id in (select value::bigint from jsonb_array_elements_text((%s)::jsonb))",
        ),
        (
            "select cast(value as text) from json_each(t.tags) d",
            "select cast(value as text) from jsonb_array_elements_text((t.tags)::jsonb) d",
        ),
    ],
)
def test_statements_are_translated(sql: str, translated: str) -> None:
    assert translate(sql) == translated
