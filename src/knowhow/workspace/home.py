"""The folder a workspace lives in: found, started, and read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from knowhow.errors import ConfigProblem
from knowhow.settings import FILE_NAME, Loaded, find_workspace, load

ROWS = "runs"
"""Folder beside the databases that holds the rows of runs as files."""
TEMPLATE = """\
# A Knowhow workspace. `knowhow config show --origin` lists every setting and where its value comes from.

# What answers. A recipe holds every choice that can change an answer; a table changes or extends one.
# [recipes.rag]
# model = "openai:gpt-5-mini"                      # with OPENAI_API_KEY in the environment or in .env
# model = "http://localhost:11434/v1#qwen3:8b"     # Ollama, vLLM, llama.cpp: anything with this protocol
# model = "local:models/some-model.gguf"           # in this process
"""


def locate(path: str | os.PathLike[str] | None) -> Path:
    """The workspace at `path`, or KNOWHOW_WORKSPACE, or the nearest one upwards. Raises `ConfigProblem`."""
    named = path or os.environ.get("KNOWHOW_WORKSPACE")
    if not named:
        return find_workspace(Path.cwd())
    folder = Path(named).expanduser().resolve()
    if not (folder / FILE_NAME).is_file():
        where = "" if path else " (KNOWHOW_WORKSPACE)"
        raise ConfigProblem(f"{folder}{where} is not a workspace; start one with: knowhow init {named}")
    return folder


def load_settings(
    path: str | os.PathLike[str] | None = None, flags: Mapping[str, Any] | None = None
) -> tuple[Path, Loaded]:
    """The folder of a workspace and its settings."""
    folder = locate(path)
    return folder, load(folder, flags)


def start(path: str | os.PathLike[str]) -> Path:
    """Makes `path` a workspace and returns its folder; one that is already there stays as it is."""
    folder = Path(path).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / FILE_NAME).exists():
            (folder / FILE_NAME).write_text(TEMPLATE, "utf-8")
    except OSError as error:
        raise ConfigProblem(f"cannot start a workspace in {folder}: {error.strerror}; choose another folder") from None
    return folder


def data_folder(folder: Path, loaded: Loaded) -> Path:
    """Where the databases are; made where it is missing, and kept out of git."""
    data = (folder / loaded.settings.data).resolve()
    try:
        data.mkdir(parents=True, exist_ok=True)
        ignore = data / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", "utf-8")
    except OSError as error:
        raise ConfigProblem(f"cannot write to {data}: {error.strerror}; mend its permissions or set data") from None
    return data
