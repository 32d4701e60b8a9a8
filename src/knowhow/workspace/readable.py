"""Which records an asker may read by the tags that the documents they quote demand today."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from knowhow.ports import Record, Store
from knowhow.types import EVERYTHING, Filter

_ALL = frozenset({EVERYTHING})


def readable(records: Iterable[Record], store: Store, access: frozenset[str]) -> Iterator[Record]:
    """Those of `records` that quote nothing closed to `access`.

    A record keeps the tags of the time it was written; a document may have been closed more tightly since.
    """
    known: dict[str, bool] = {}
    for record in records:
        if EVERYTHING not in access:
            for uri in record.uris - known.keys():
                found = store.documents(Filter(_ALL, {"uri": uri}), removed=True)
                known[uri] = all(info.access <= access for info in found)
        if EVERYTHING in access or all(known[uri] for uri in record.uris):
            yield record
