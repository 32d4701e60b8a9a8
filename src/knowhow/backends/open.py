"""From a model's name to the model: the forms a name may have, and nothing heavy imported before it is needed."""

from __future__ import annotations

from knowhow.backends.embed_static import NAME as STATIC
from knowhow.backends.options import ConnectOptions
from knowhow.errors import ConfigProblem
from knowhow.ports import ChatModel, Embedder, Reranker, Verifier

CHAT_FORMS = "extractive, local:starter, local:PATH.gguf, openai:NAME, http://HOST:PORT/v1#NAME"
EMBEDDER_FORMS = "static, st:NAME_OR_PATH, openai:NAME, http://HOST:PORT/v1#NAME"
RERANKER_FORMS = "st:NAME_OR_PATH, http://HOST:PORT/v1#NAME"
VERIFIER_FORMS = "st:NAME_OR_PATH"
_REMOTE = ("openai", "http")


def open_chat(name: str, options: ConnectOptions) -> ChatModel:
    """The chat model called `name`. A local model already loaded in this process is shared.

    Raises `ConfigProblem` for an unknown form, a missing extra or a key that is not set, `NotFound` for a missing
    file, `ProviderProblem` where a server has to be asked and does not answer.
    """
    if name == "extractive":
        from knowhow.backends.chat_extractive import ExtractiveChat

        return ExtractiveChat()
    kind, rest = _parts(name)
    if kind == "local" and rest:
        from knowhow.backends.chat_llama import load_llama

        return load_llama(rest, options)
    if kind in _REMOTE and rest:
        from knowhow.backends.chat_openai import OpenAIChat

        return OpenAIChat(name, options)
    raise _unknown("chat model", name, CHAT_FORMS)


def open_embedder(name: str, options: ConnectOptions) -> Embedder:
    """The embedder called `name`; the name an index recorded opens the same embedder again. Errors as `open_chat`."""
    if name in ("static", STATIC):
        from knowhow.backends.embed_static import load_static

        return load_static()
    kind, rest = _parts(name)
    if kind == "st" and rest:
        from knowhow.backends.embed_st import SentenceEmbedder

        return SentenceEmbedder(rest, options)
    if kind in _REMOTE and rest:
        from knowhow.backends.embed_openai import OpenAIEmbedder

        return OpenAIEmbedder(name, options)
    raise _unknown("embedder", name, EMBEDDER_FORMS)


def open_reranker(name: str, options: ConnectOptions) -> Reranker:
    """The reranker called `name`. Errors as `open_chat`."""
    kind, rest = _parts(name)
    if kind == "st" and rest:
        from knowhow.backends.embed_st import SentenceReranker

        return SentenceReranker(rest, options)
    if kind == "http":
        from knowhow.backends.rerank import RemoteReranker

        return RemoteReranker(name, options)
    raise _unknown("reranker", name, RERANKER_FORMS)


def open_verifier(name: str, options: ConnectOptions) -> Verifier:
    """The entailment model called `name`. Errors as `open_chat`."""
    kind, rest = _parts(name)
    if kind == "st" and rest:
        from knowhow.backends.verify_nli import NliVerifier

        return NliVerifier(rest, options)
    raise _unknown("verifier", name, VERIFIER_FORMS)


def _parts(name: str) -> tuple[str, str]:
    """("openai", "gpt-5"), ("local", "m.gguf"), ("http", the whole URL)."""
    if name.startswith(("http://", "https://")):
        return "http", name
    kind, _, rest = name.partition(":")
    return kind, rest.strip()


def _unknown(what: str, name: str, forms: str) -> ConfigProblem:
    return ConfigProblem(f"unknown {what} {name!r}; name one as: {forms}")
