"""Which named source each target of `ingest` is: a folder, single files, or a JSONL corpus."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from knowhow.errors import UsageProblem
from knowhow.ports import Source

FILES = "files"
"""Name and kind of the source that holds files given one by one."""
_NAME = re.compile(r"[^\W_][\w. +@-]*")


@dataclass(frozen=True, slots=True)
class Target:
    """A source to sync; with `files` only these are looked at, and nothing is removed."""

    source: Source
    files: tuple[Path, ...] = ()


def resolve_targets(
    targets: Sequence[str | Path], known: Sequence[Source], *, name: str | None = None, as_documents: bool = False
) -> list[Target]:
    """The sources the targets stand for, in their order, single files last.

    A single file below the root of a known source belongs to that; the others are source `files`. Raises
    `UsageProblem` for a missing path, a bad `name`, a name that stands for another root which still exists, and a new
    source that holds the files of another one unless it has a `name` of its own.
    """
    paths = list(dict.fromkeys(Path(os.path.abspath(os.path.expanduser(target))) for target in targets))
    if not paths:
        raise UsageProblem("nothing to ingest: name a folder or a file, e.g. knowhow ingest docs")
    if name is not None and not _NAME.fullmatch(name):
        raise UsageProblem(f"--as {name!r} is no name: letters, digits, blank and . + @ - _, no /")
    files = [path for path in paths if path.is_file() and not as_documents]
    roots = [path for path in paths if path not in files]
    if name is not None and len(roots) + bool(files) > 1:
        raise UsageProblem(f"--as {name} names one source; ingest the others with a command of their own")
    resolved: list[Target] = []
    for root in roots:
        source = _rooted(root, [*known, *(target.source for target in resolved)], name, as_documents)
        resolved.append(Target(source))
    files = [path for path in files if not any(_holds(str(root), str(path)) for root in roots)]
    return resolved + _single(files, known, name)


def _single(files: Sequence[Path], known: Sequence[Source], name: str | None) -> list[Target]:
    """Single files by the source they belong to."""
    owned: dict[Source, list[Path]] = {}
    for path in files:
        holders = [s for s in known if s.kind == "folder" and s.name == (name or s.name) and _holds(s.root, str(path))]
        # Of nested sources the inner one: its access rules were meant for this file.
        owner = max(holders, key=lambda source: len(source.root), default=None)
        owned.setdefault(owner or _named(FILES, "", FILES, known, name), []).append(path)
    return [Target(source, tuple(paths)) for source, paths in owned.items()]


def _rooted(root: Path, known: Sequence[Source], name: str | None, as_documents: bool) -> Source:
    """The source of a folder or a corpus file, new or known."""
    kind = "jsonl" if as_documents else "folder"
    same = next((source for source in known if source.kind == kind and source.root == str(root)), None)
    if not same and not (root.is_file() if as_documents else root.is_dir()):
        wanted = "file" if as_documents else "file or folder"
        raise UsageProblem(f"there is no {wanted} {root}; nothing was ingested")
    if same and name in (None, same.name):
        return same
    if same:
        raise UsageProblem(f"{root} is already source {same.name!r}; sync it with: knowhow ingest {root}")
    if name is None:
        _refuse_overlap(root, known)
    stem = root.stem if as_documents else root.name
    return _named(unicodedata.normalize("NFC", stem), str(root), kind, known, name)


def _named(default: str, root: str, kind: str, known: Sequence[Source], name: str | None) -> Source:
    """The known source of this name with its root moved if the old one is gone, else a new one."""
    own = name or default
    if not own:
        raise UsageProblem(f"{root} has no name; give it one: knowhow ingest {root} --as NAME")
    same = next((source for source in known if source.name == own), None)
    if same is None:
        return Source(own, root, f"{name}/" if name else "", kind)
    if same.kind == kind and (same.root == root or not os.path.exists(same.root)):
        return replace(same, root=root)
    what = same.root or "single files"
    raise UsageProblem(
        f"source {own!r} already stands for {what}; nothing was changed. "
        f"Give {root or 'these files'} another name: knowhow ingest {root or 'FILE'} --as NAME"
    )


def _refuse_overlap(root: Path, known: Sequence[Source]) -> None:
    """The same files under two uris would answer twice, and the second time without the first one's access rules."""
    for source in known:
        overlaps = _holds(source.root, str(root)) or _holds(str(root), source.root)
        if source.kind == "folder" and overlaps and os.path.exists(source.root):
            raise UsageProblem(
                f"{root} and source {source.name!r} ({source.root}) hold the same files; sync that one with: "
                f"knowhow ingest {source.root}. To keep both, run: knowhow ingest {root} --as NAME"
            )


def _holds(folder: str, path: str) -> bool:
    """Whether `path` lies below `folder`, symbolic links resolved."""
    folder, path = os.path.realpath(folder), os.path.realpath(path)
    return path != folder and path.startswith(folder.rstrip(os.sep) + os.sep)
