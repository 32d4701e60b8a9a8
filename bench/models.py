"""How fast the models on this machine are, and how often quoting sentences answers: the figures of docs/models.md.

Run: python bench/models.py speed | parallel | extractive DATA  (DATA: the folder of nq_open_oracle)
"""

from __future__ import annotations

import json
import re
import resource
import statistics
import string
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from knowhow.backends.chat_extractive import NOT_STATED, quote
from knowhow.backends.open import open_chat, open_embedder
from knowhow.backends.options import ConnectOptions
from knowhow.store.analyze import query_terms, terms
from knowhow.types import ChatRequest, Message, Sampling

SHOWN = 6
"""Passages put to the model, as the built-in recipe does."""
WORDS = "the window return laptop shop parcel within days of delivery policy price manager office review".split()


def speed() -> dict[str, float]:
    """Starter model: prompt and reply tokens a second, and how much sooner a shared prefix gives the first token."""
    model = open_chat("local:starter", ConnectOptions())
    model.chat(_prompt("warm", 5, 4))
    fresh, shared, made = [], [], []
    for seed in range(5):
        first = model.chat(_prompt(f"documents {seed}", 900, 24))
        again = model.chat(_prompt(f"documents {seed}", 900, 24, "Another question?"))
        until_first, until_again = first.ms_first or 0.0, again.ms_first or 0.0
        fresh.append(until_first / first.prompt_tokens)
        shared.append(until_first / until_again)
        made.append((first.completion_tokens - 1) / (first.ms - until_first) * 1000)
    embedder = open_embedder("static", ConnectOptions())
    texts = [" ".join(WORDS) * 9 for _ in range(2000)]
    began = time.perf_counter()
    embedder.documents(texts)
    return {
        "prompt tokens/s": 1000 / statistics.median(fresh),
        "reply tokens/s": statistics.median(made),
        "first token, shared prefix: times sooner": statistics.median(shared),
        "static embedder MB/s": sum(map(len, texts)) / 1e6 / (time.perf_counter() - began),
        "peak memory MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


def parallel() -> dict[str, float]:
    """Starter model: questions answered a second when 1, 2 or 4 are worked on at once, against one after the other."""
    found: dict[str, list[float]] = {}
    for _ in range(3):
        for many in (1, 2, 4):
            model = open_chat("local:starter", ConnectOptions(parallel=many, context_tokens=2048))
            model.chat(_prompt("warm", 5, 4))
            prompts = [_prompt(f"documents {many} {seed}", 300, 40) for seed in range(8)]
            began = time.perf_counter()
            with ThreadPoolExecutor(many) as pool:
                list(pool.map(model.chat, prompts))
            found.setdefault(f"{many} at once", []).append(len(prompts) / (time.perf_counter() - began))
            model.close()
    medians = {name: statistics.median(rates) for name, rates in found.items()}
    return {name: rate / medians["1 at once"] for name, rate in medians.items()}


def extractive(folder: Path) -> dict[str, dict[str, float]]:
    """Share of questions whose quoted text holds an answer, and share declined, on the half not used for tuning.

    `gold`: the gold passage alone. `found`: the best `SHOWN` of all passages by BM25. `without`: the same, the gold
    passage taken out, so that declining is right.
    """
    rows = [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.open()]
    passages = [f"{row['ctxs'][0]['title']}\n{row['ctxs'][0]['text']}" for row in rows]
    ranked = _bm25(passages, [row["question"] for row in rows])
    asked = range(1, len(rows), 2)
    sets = {
        "gold": [[i] for i in asked],
        "found": [ranked[i][:SHOWN] for i in asked],
        "without": [[j for j in ranked[i] if j != i][:SHOWN] for i in asked],
    }
    table = {}
    for name, shown in sets.items():
        said = [quote(rows[i]["question"], [passages[j] for j in js]) for i, js in zip(asked, shown, strict=True)]
        held = [_holds(text, rows[i]["answers"]) for i, text in zip(asked, said, strict=True)]
        table[name] = {
            "n": len(said),
            "answer included": float(np.mean(held)),
            "declined": float(np.mean([text == NOT_STATED for text in said])),
            "words": float(np.mean([len(text.split()) for text in said])),
        }
    return table


def _prompt(start: str, words: int, tokens: int, question: str = "What is the window?") -> ChatRequest:
    text = start + " " + " ".join(WORDS[(i * 7 + len(start) * i) % len(WORDS)] for i in range(words))
    return ChatRequest((Message("user", f"{start} {text}\n\n{question}"),), Sampling(max_tokens=tokens))


def _bm25(passages: Sequence[str], questions: Sequence[str]) -> list[list[int]]:
    """The best `SHOWN + 1` passages for each question (k1 = 1.2, b = 0.75)."""
    counted = [terms(passage) for passage in passages]
    mean = statistics.mean(map(len, counted))
    postings: dict[str, dict[int, int]] = {}
    for i, found in enumerate(counted):
        for term in found:
            held = postings.setdefault(term, {})
            held[i] = held.get(i, 0) + 1
    ranked = []
    for question in questions:
        scores = np.zeros(len(passages))
        for term in query_terms(question):
            held = postings.get(term, {})
            idf = np.log(1 + (len(passages) - len(held) + 0.5) / (len(held) + 0.5))
            for i, count in held.items():
                scores[i] += idf * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * len(counted[i]) / mean))
        ranked.append([int(i) for i in np.argsort(-scores, kind="stable")[: SHOWN + 1]])
    return ranked


def _holds(text: str, answers: Sequence[str]) -> bool:
    return any(_plain(answer) in _plain(re.sub(r"\[\d+\]", "", text)) for answer in answers)


def _plain(text: str) -> str:
    """Lowercase without punctuation and articles, as SQuAD's script normalises."""
    kept = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(re.sub(r"\b(?:a|an|the)\b", " ", kept).split())


if __name__ == "__main__":
    runs = {"speed": speed, "parallel": parallel, "extractive": lambda: extractive(Path(sys.argv[2]))}
    print(json.dumps(runs[sys.argv[1] if len(sys.argv) > 1 else "speed"](), indent=2))
