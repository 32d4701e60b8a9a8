"""The process that reads files for the sandbox: takes paths on stdin, answers on stdout, under limits."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import resource
import struct
import sys
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers import read, scans
from knowhow.ingest.sandbox import BEAT, Limits, answer_of
from knowhow.ports import Ocr
from knowhow.types import Extract, OcrLine

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_REFUSED = tuple(
    "socket. subprocess. os.system os.exec os.posix_spawn os.fork os.spawn os.kill os.remove os.rename os.rmdir "
    "os.mkdir os.chmod os.chown os.link os.symlink os.truncate shutil. "
    "urllib. http. ftplib. smtplib. webbrowser.".split()
)
"""Audit events, by how their names begin."""


def main() -> None:
    """Reads until stdin ends."""
    limits = Limits(**json.loads(sys.argv[1]))
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a library that prints must not garble the answers
    confine(limits)
    paced = _Paced(limits, answers)
    if limits.scans and scans.installed():
        scans.use(paced)
    answers.write(BEAT)
    answers.flush()
    done = 0
    while len(head := requests.read(4)) == 4:
        path = Path(os.fsdecode(requests.read(struct.unpack("<I", head)[0])))
        outcome = _read(path, limits, paced)
        done += 1
        spent = isinstance(outcome, UnreadableFile) and outcome.reason == ReadProblem.OUT_OF_MEMORY
        data = answer_of(outcome, retire=spent or done >= limits.files or _resident() > limits.resident)
        answers.write(data)
        answers.flush()


class _Paced:
    """The `Ocr` of this process, loaded at its first picture; each page gives the file more time, up to a number."""

    def __init__(self, limits: Limits, answers: IO[bytes]) -> None:
        self.name = "rapidocr"
        self.pages = 0
        self._limits = limits
        self._answers = answers
        self._ocr: Ocr | None = None

    def lines(self, picture: NDArray[np.uint8]) -> list[OcrLine]:
        """The lines of the picture; none of the pictures beyond the limit."""
        self.pages += 1
        if self.pages > self._limits.scans:
            return []
        if self._ocr is None:
            from knowhow.ingest.readers.ocr_rapid import RapidOcr

            self._ocr = RapidOcr()
        found = self._ocr.lines(picture)
        soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (soft + int(self._limits.scan_seconds), hard))
        self._answers.write(BEAT)
        self._answers.flush()
        return found


def confine(limits: Limits) -> None:
    """Takes away network, new processes, written files, core dumps and memory beyond the limit."""
    libc = ctypes.CDLL(None, use_errno=True)
    # A privileged process keeps its file rights only without a user namespace; others need one to be allowed to.
    with contextlib.suppress(AttributeError):
        if libc.unshare(_CLONE_NEWNET) != 0:
            libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    memory = limits.memory if hard == resource.RLIM_INFINITY else min(limits.memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    sys.addaudithook(_refuse)


def _refuse(event: str, args: tuple[object, ...]) -> None:
    if event.startswith(_REFUSED):
        raise PermissionError(f"a reader may not {event}")
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        raise PermissionError("a reader may not write files")


def _read(path: Path, limits: Limits, paced: _Paced) -> Extract | UnreadableFile:
    paced.pages = 0
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime + limits.seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    try:
        return read(path)
    except UnreadableFile as problem:
        return UnreadableFile(problem.reason, problem.detail)
    except MemoryError:
        pass
    gc.collect()
    detail = f"reading it takes more than {limits.memory // 1_000_000:,} MB; split the file"
    return UnreadableFile(ReadProblem.OUT_OF_MEMORY, detail)


def _resident() -> int:
    """Bytes this process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if os.path.exists("/proc/self/statm") else 0
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
