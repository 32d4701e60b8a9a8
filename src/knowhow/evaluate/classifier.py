"""A linear classifier on embeddings in the place of a model: no LLM, learnt in seconds, a recipe like any other."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from knowhow.errors import ConfigProblem, NotFound, UsageProblem
from knowhow.ports import Embedder, Floats
from knowhow.types import ChatReply, ChatRequest, Example, Message, Split, Suite, fingerprint

MODEL = "classifier"
"""What a recipe names as its model: learnt from the train split of the suite it is asked in, or `classifier:FILE`."""
STRENGTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
"""Weights of the penalty that are tried; the best on held-out folds is taken, the larger one on a tie."""
_FOLDS = 3
_CHOSEN_ON = 800
"""Texts on which the strength is chosen; more make it slow and change it no more."""
_STEPS = 100
_STILL = 1e-6
"""Spread of a dimension that never changes."""
_ENOUGH = 1e-4
"""Largest gradient at which the descent has arrived."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Labels and, for each, a weight per dimension and a bias: float32[dims + 1, labels]."""

    labels: tuple[str, ...]
    weights: NDArray[np.float32]
    embedder: str
    """Name of the embedder whose vectors it was learnt on."""

    def logits(self, vectors: Floats) -> NDArray[np.float32]:
        """float32[n, labels] for float32[n, dims]."""
        return _widened(vectors) @ self.weights

    def says(self, vectors: Floats) -> list[str]:
        """The likeliest label of each vector; of equal ones the first in the alphabet."""
        return [self.labels[int(best)] for best in np.argmax(self.logits(vectors), axis=1)]

    @property
    def hash(self) -> str:
        """12 hex digits over labels and weights."""
        return fingerprint([self.labels, self.weights.tobytes()], 12)


def learn(vectors: Floats, labels: Sequence[str], embedder: str, *, strength: float | None = None) -> Linear:
    """Multinomial logistic regression with a squared penalty (Hastie, Tibshirani & Friedman, The Elements of
    Statistical Learning, section 4.4.4), its strength chosen by three-fold cross-validation where none is given.

    `vectors` is float32[n, dims], `labels` parallel. Nothing is random, so equal input gives equal weights. Raises
    `UsageProblem` below two labels.
    """
    names = tuple(sorted(set(labels)))
    if len(names) < 2:
        raise UsageProblem(f"a classifier needs at least two labels, not {', '.join(names) or 'none'}")
    places = {name: place for place, name in enumerate(names)}
    targets = np.array([places[label] for label in labels])
    middle = vectors.mean(axis=0)
    spread = vectors.std(axis=0) + np.float32(_STILL)
    scaled: Floats = (vectors - middle) / spread
    if strength is None:
        part = np.argsort(np.argsort(targets, kind="stable") % max(len(targets) // _CHOSEN_ON, 1), kind="stable")
        strength = _strength(scaled[part[:_CHOSEN_ON]], targets[part[:_CHOSEN_ON]], len(names))
    weights = _fit(scaled, targets, len(names), strength)
    plain = weights[:-1] / spread[:, None]
    return Linear(names, np.vstack([plain, weights[-1] - middle @ plain]), embedder)


def _strength(vectors: Floats, targets: NDArray[np.int64], count: int) -> float:
    """The strength with the most right answers over folds that hold every label as evenly as can be."""
    order = np.argsort(targets, kind="stable")
    fold = np.empty(len(targets), dtype=np.int64)
    fold[order] = np.arange(len(targets)) % _FOLDS
    right = dict.fromkeys(STRENGTHS, 0)
    for part in range(_FOLDS):
        seen, held = fold != part, fold == part
        if not held.any() or not seen.any():
            continue
        start: NDArray[np.float32] | None = None
        for strength in STRENGTHS:
            start = _fit(vectors[seen], targets[seen], count, strength, start)
            best = np.argmax(_widened(vectors[held]) @ start, axis=1)
            right[strength] += int(np.sum(best == targets[held]))
    return max(STRENGTHS, key=lambda strength: right[strength])


def _fit(
    vectors: Floats,
    targets: NDArray[np.int64],
    count: int,
    strength: float,
    start: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Accelerated gradient descent (Nesterov 1983) with the step that the curvature's bound allows; biases go free."""
    wide = _widened(vectors)
    wanted = np.zeros((len(targets), count), dtype=np.float32)
    wanted[np.arange(len(targets)), targets] = 1.0
    penalty = np.full((wide.shape[1], 1), strength, dtype=np.float32)
    penalty[-1] = 0.0
    # the softmax's Hessian is at most half of the inputs' (Böhning 1992, Ann. Inst. Stat. Math. 44:197-200)
    step = np.float32(1.0 / (0.5 * float(np.linalg.norm(wide.T @ wide, 2)) / len(wide) + strength))
    weights: NDArray[np.float32]
    weights = np.zeros((wide.shape[1], count), dtype=np.float32) if start is None else start
    ahead, before = weights, weights
    for turn in range(_STEPS):
        gradient = wide.T @ (_softmax(wide @ ahead) - wanted) / len(wide) + penalty * ahead
        if float(np.abs(gradient).max()) < _ENOUGH:
            break
        before, weights = weights, (ahead - step * gradient).astype(np.float32)
        ahead = weights + np.float32(turn / (turn + 3)) * (weights - before)
    return weights


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _widened(vectors: Floats) -> NDArray[np.float32]:
    """Vectors with a constant for the bias."""
    return np.hstack([vectors, np.ones((len(vectors), 1), dtype=np.float32)])


# --- as a model -------------------------------------------------------------------------------------------


class ClassifierChat:
    """A `ChatModel` that replies with a label. It reads the question and what comes with it, and no instructions."""

    context_tokens = 0

    def __init__(self, linear: Linear, embedder: Embedder) -> None:
        self.name = f"{MODEL}:{linear.hash}"
        self.linear = linear
        self._embedder = embedder

    def chat(self, request: ChatRequest) -> ChatReply:
        """The label; as a JSON text where a schema is asked for."""
        started = perf_counter()
        text = "\n".join([request.question, *request.passages])
        label = self.linear.says(self._embedder.documents([text]))[0]
        said = label if request.schema is None else json.dumps(label, ensure_ascii=False)
        return ChatReply(said, 0, 0, ms=(perf_counter() - started) * 1000)

    def stream(self, request: ChatRequest) -> Generator[str, None, ChatReply]:
        reply = self.chat(request)
        yield reply.text
        return reply

    def count(self, messages: Sequence[Message]) -> int:  # noqa: ARG002 - it reads none of them as tokens
        """No tokens."""
        return 0

    def close(self) -> None:
        """Nothing to free."""


def suite_classifier(suite: Suite, embedder: Embedder) -> ClassifierChat:
    """The classifier that the train split of `suite` teaches. Raises `UsageProblem` where it holds no two labels."""
    taught = [one for one in suite.examples if one.split is Split.TRAIN and not one.draft and one.expect.label]
    if not taught:
        raise UsageProblem(
            f"a classifier learns from the labels of the train split, and {suite.name} has none there; "
            f"`knowhow suite split` assigns splits"
        )
    labels = [one.expect.label or "" for one in taught]
    return ClassifierChat(learn(embedder.documents([_read(one) for one in taught]), labels, embedder.name), embedder)


def _read(example: Example) -> str:
    """What the classifier is shown of an example, as `ClassifierChat` reads it."""
    return "\n".join([example.asked, example.context] if example.context.strip() else [example.asked])


def save_classifier(linear: Linear, path: Path) -> None:
    """Writes it to a file that `model = "classifier:FILE"` names. Raises `ConfigProblem`."""
    try:
        with path.open("wb") as file:
            np.savez(file, weights=linear.weights, labels=np.array(linear.labels), embedder=np.array(linear.embedder))
    except OSError as error:
        raise ConfigProblem(f"cannot write {path}: {error.strerror}; choose another file") from error


def load_classifier(path: Path, embedder: Embedder) -> ClassifierChat:
    """The classifier in a file. Raises `NotFound`, and `ConfigProblem` where it is none or needs another embedder."""
    if not path.is_file():
        raise NotFound(f"there is no classifier {path}")
    try:
        with np.load(path, allow_pickle=False) as held:
            linear = Linear(tuple(map(str, held["labels"])), held["weights"], str(held["embedder"]))
    except (OSError, ValueError, KeyError) as error:
        raise ConfigProblem(f"{path} is no classifier: {error}; make one with `knowhow tune`") from error
    if linear.embedder != embedder.name:
        raise ConfigProblem(
            f"{path} was learnt on vectors of {linear.embedder}, but {embedder.name} is configured; set embedder back "
            f"or learn it again"
        )
    return ClassifierChat(linear, embedder)
