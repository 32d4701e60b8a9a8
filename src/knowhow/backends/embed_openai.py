"""An embedder behind any URL that speaks the OpenAI protocol."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from knowhow.backends.endpoint import Endpoint
from knowhow.backends.options import ConnectOptions
from knowhow.backends.vectors import unit
from knowhow.ports import Floats

_BATCH = 64
"""Texts in one request: far below every provider's limit, and a slow local server answers within the timeout."""


class OpenAIEmbedder:
    """`openai:NAME` or `http(s)://HOST/v1#NAME`. Thread-safe. Opening embeds one word to learn `dims`."""

    def __init__(self, name: str, options: ConnectOptions) -> None:
        self._endpoint = Endpoint(name, options)
        self.name = self._endpoint.name
        self.dims = 0
        self.dims = self._request(["dimensions"]).shape[1]

    def documents(self, texts: Sequence[str]) -> Floats:
        rows = np.zeros((len(texts), self.dims), dtype=np.float32)
        told = [i for i, text in enumerate(texts) if text.strip()]  # providers refuse empty text
        for start in range(0, len(told), _BATCH):
            batch = told[start : start + _BATCH]
            rows[batch] = self._request([texts[i] for i in batch])
        return rows

    def query(self, text: str) -> Floats:
        row: Floats = self.documents([text])[0]
        return row

    def _request(self, texts: list[str]) -> Floats:
        """Unit vectors of one batch; the client asks for base64 and takes floats as well."""
        with self._endpoint.asking():
            reply = self._endpoint.client.embeddings.create(model=self._endpoint.model, input=texts)
            rows = np.array([item.embedding for item in sorted(reply.data, key=lambda item: item.index)], np.float32)
        expected = (len(texts), self.dims or rows.shape[-1])
        if rows.shape != expected or not np.isfinite(rows).all():
            raise self._endpoint.bad_reply(f"embeddings of shape {rows.shape} instead of {expected}, or not finite")
        return unit(rows)
