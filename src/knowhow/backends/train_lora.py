"""Trains LoRA adapters with transformers, peft and trl in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from knowhow import errors
from knowhow.backends import train_checkpoints as kept
from knowhow.backends.train_base import check_installed, find_base, hash_of
from knowhow.errors import ConfigProblem, KnowhowError, UsageProblem
from knowhow.types import (
    Began,
    Json,
    ParityReport,
    Saved,
    Step,
    Trained,
    TrainEvent,
    TrainPlan,
    TrainPrice,
    TrainRow,
    Validated,
    fingerprint,
)
from knowhow.types.plain import from_plain, to_plain

POSITIONS = 300
"""Places at which parity is measured."""
_EVENTS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Began, Step, Validated, Saved)}
_LOG, _JOB = "training.log", "job.txt"
_STOP_S = 300.0
"""Longest wait for a step to end and a checkpoint to be written after a training was asked to stop."""
_TOLD = 15
"""Last lines of the log that an unforeseen error shows."""


class LoraTrainer:
    """`knowhow.ports.Trainer` for models whose weights are on this machine."""

    name = "lora"

    def __init__(self) -> None:
        """Raises `ConfigProblem` with the command where the extra `train` is not installed."""
        check_installed()

    def key(self, plan: TrainPlan, rows: Sequence[TrainRow], validation: Sequence[TrainRow]) -> str:
        """16 hex digits over everything that decides the weights; names the folder in which a training goes on."""
        return fingerprint([hash_of(find_base(plan.base)), to_plain(plan), to_plain(rows), to_plain(validation)])

    def price(self, plan: TrainPlan, rows: Sequence[TrainRow], validation: Sequence[TrainRow]) -> TrainPrice:
        """Time and memory of a training, from four steps of it."""
        with tempfile.TemporaryDirectory() as folder:
            job = {"do": "price", "plan": plan, "rows": rows, "validation": validation, "folder": folder}
            return from_plain(TrainPrice, _last(_Worker(Path(folder), plan, job)))

    def train(
        self, plan: TrainPlan, rows: Sequence[TrainRow], validation: Sequence[TrainRow], folder: str
    ) -> Generator[TrainEvent, None, Trained]:
        """Trains in `folder`, going on from what is there; closing the generator leaves a checkpoint.

        Raises `UsageProblem` where the rows cannot be trained on or the folder holds another training,
        `ConfigProblem` for a base that cannot be trained, a full disk or too little memory.
        """
        home = Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        self._claim(home, self.key(plan, rows, validation))
        done = kept.result_of(home)
        if done is not None:
            return done
        job = {"do": "train", "plan": plan, "rows": rows, "validation": validation, "folder": folder}
        worker = _Worker(home, plan, job)
        try:
            for line in worker.lines():
                if "event" in line:
                    event: TrainEvent = from_plain(_EVENTS[line["event"]["kind"]], line["event"]["body"])
                    yield event
        finally:
            worker.stop()
        done = kept.result_of(home)
        if done is None:
            raise KnowhowError(f"the training in {folder} ended without a result; run the same command again")
        return done

    def choose(self, plan: TrainPlan, folder: str, step: int) -> Trained:
        """Makes the checkpoint at `step` of a finished training its result. Raises `UsageProblem`."""
        from knowhow.backends.train_run import chosen

        done = kept.result_of(Path(folder))
        if done is None:
            raise UsageProblem(f"the training in {folder} is not finished; run it to its end first")
        return chosen(Path(folder), step, done, find_base(plan.base))

    def parity(self, base: str, adapter: str, rows: Sequence[TrainRow], positions: int = POSITIONS) -> ParityReport:
        """Holds llama.cpp against the training stack at up to `positions` places in the replies of `rows`, both with
        every weight in float32. `adapter` is a folder as `train` makes it.

        Raises `ConfigProblem` for a base that llama.cpp cannot load or where it is not installed.
        """
        from knowhow.backends.train_parity import compare

        found = find_base(base)
        if not found.is_gguf:
            raise ConfigProblem(f"{base} is no GGUF file, so llama.cpp cannot load it; name one as local:PATH")
        with tempfile.TemporaryDirectory() as scratch:
            plan = TrainPlan(base=base, threads=_cores())
            job = {"do": "said", "plan": plan, "rows": rows, "folder": scratch, "adapter": adapter}
            _last(_Worker(Path(scratch), plan, {**job, "positions": positions}))
            return compare(Path(scratch), Path(adapter) / kept.ADAPTER_GGUF)

    def _claim(self, folder: Path, key: str) -> None:
        mark = folder / _JOB
        if mark.is_file() and mark.read_text("utf-8") != key:
            raise UsageProblem(f"{folder} holds a training of other rows or another plan; name another folder")
        mark.write_text(key, "utf-8")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Worker:
    """The training process, as its starter sees it."""

    def __init__(self, folder: Path, plan: TrainPlan, job: Json) -> None:
        self._folder = folder
        self._log = (folder / _LOG).open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "knowhow.backends.train_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            env=_environment(plan),
            start_new_session=True,  # Ctrl-C reaches the starter alone, which then asks for a checkpoint
        )
        self._tell(json.dumps(to_plain(job)))

    def lines(self) -> Iterator[Json]:
        """What the process says, to its end. Raises what it raised, and `ConfigProblem` where it was killed."""
        assert self._process.stdout is not None
        for text in self._process.stdout:
            line: Json = json.loads(text)
            if "failed" in line:
                raise self._problem(line["failed"])
            yield line
        code = self._process.wait()
        if code < 0:
            why = ", most often for lack of memory: lower at_once or max_tokens, or close other programs, and"
            raise ConfigProblem(
                f"the training process was killed (signal {-code}){why if -code == signal.SIGKILL else ':'} run the "
                f"same command again; {self._going_on()}"
            )
        if code:
            raise KnowhowError(f"the training process ended with status {code}: {self._last_words()}")

    def stop(self) -> None:
        """Asks for a checkpoint and the end, and waits for both."""
        self._tell("stop")
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            with suppress(OSError):  # a pipe to a process that has died
                if stream is not None:
                    stream.close()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):  # it has ended; what it said last tells why
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def _problem(self, failed: Json) -> KnowhowError:
        name, message = failed["error"], failed["message"]
        if name == "memory":
            return ConfigProblem(
                f"training ran out of memory ({message}): lower at_once or max_tokens, and run the same command "
                f"again; {self._going_on()}"
            )
        kind = getattr(errors, name, None) if name else None
        if kind is not None:
            problem: KnowhowError = kind(message)
            return problem
        return KnowhowError(f"training failed: {message}; its log says: {self._last_words()}")

    def _going_on(self) -> str:
        newest = kept.newest(self._folder)
        return f"it goes on from step {newest.step}" if newest else "it starts anew, no checkpoint was written yet"

    def _last_words(self) -> str:
        text = (self._folder / _LOG).read_text("utf-8", "replace")
        return " | ".join(text.splitlines()[-_TOLD:]) or "nothing"


def _last(worker: _Worker) -> Any:
    """What the process is done with."""
    done: Any = None
    try:
        for line in worker.lines():
            done = line.get("done", done)
    finally:
        worker.stop()
    return done


def _environment(plan: TrainPlan) -> dict[str, str]:
    """Nothing is downloaded, nothing reported; the number of threads is fixed before anything counts cores."""
    threads = str(plan.threads or _cores())
    return os.environ | {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "TRL_EXPERIMENTAL_SILENCE": "1",
        "PYTHONUNBUFFERED": "1",
    }
