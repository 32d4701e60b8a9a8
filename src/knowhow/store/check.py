"""Integrity: the file, documents against versions, passages against documents, both indexes against passages."""

from knowhow.ports import StoreCheck
from knowhow.store.files import Database


def examine(database: Database, *, repair: bool) -> list[StoreCheck]:
    return []
