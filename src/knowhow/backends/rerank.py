"""A reranker behind a URL with `/rerank`, as Cohere, Jina, vLLM, llama.cpp and LiteLLM offer it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from knowhow.backends.endpoint import Endpoint
from knowhow.backends.options import ConnectOptions
from knowhow.ports import Floats


class RemoteReranker:
    """`http(s)://HOST/v1#NAME`, asked at `/v1/rerank`. Thread-safe."""

    def __init__(self, name: str, options: ConnectOptions) -> None:
        self._endpoint = Endpoint(name, options)
        self.name = self._endpoint.name

    def scores(self, query: str, texts: Sequence[str]) -> Floats:
        if not texts:
            return np.zeros(0, dtype=np.float32)
        body = {"model": self._endpoint.model, "query": query, "documents": list(texts), "top_n": len(texts)}
        found = np.full(len(texts), np.nan, dtype=np.float32)
        with self._endpoint.asking():
            for result in self._endpoint.client.post("/rerank", cast_to=object, body=body)["results"]:
                found[int(result["index"])] = float(result["relevance_score"])
        if not np.isfinite(found).all():
            raise self._endpoint.bad_reply(f"{int(np.isfinite(found).sum())} finite scores for {len(texts)} texts")
        return found
