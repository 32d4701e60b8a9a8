"""Data on stdout, everything else on stderr; nothing a document contains can steer the terminal."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Generator, Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from knowhow.report import Table
    from knowhow.types import Progress

R = TypeVar("R")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters and those that reorder text: shown as one mark, so that a document cannot fake output."""

pipe: IO[str] | None = None
"""Where a job is told the progress of its verb, a JSON object a line; None while a person watches."""
STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


def clean(text: str) -> str:
    """`text` without characters that would steer a terminal."""
    return CONTROL.sub("�", text.replace("\r\n", "\n"))


def styled(text: str, style: str, stream: Any = None) -> str:
    """`text` in a style where `stream` (default stdout) is a terminal that wants colour."""
    stream = stream or sys.stdout
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m"


def write(text: str, end: str = "\n") -> None:
    """Writes to stdout; a reader that went away (`| head`) ends the command quietly."""
    try:
        sys.stdout.write(text + end)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more at exit; give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


def note(text: str, lead: str = "") -> None:
    """One line on stderr; `lead` may be styled, `text` may come from anywhere."""
    with contextlib.suppress(BrokenPipeError):
        print(lead + clean(text), file=sys.stderr, flush=True)


def write_json(value: Any) -> None:
    """`value` as one JSON document."""
    write(json.dumps(value, ensure_ascii=False, indent=2))


def write_line(value: Any) -> None:
    """`value` as one line of JSONL."""
    write(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Aligned columns under a heading, nothing cut off."""
    body = [[clean(str(cell)).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *body]) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

    write(styled(line(head), "bold"))
    for row in body:
        write(line(row))


def print_table(shown: Table) -> None:
    """A report's table, with its numbers to the right."""
    right = [column in shown.numbers for column in shown.columns]
    body = [[clean(cell).replace("\n", " ") for cell in row] for row in [shown.columns, *shown.rows]]
    widths = [max(len(row[i]) for row in body) for i in range(len(right))]
    for number, row in enumerate(body):
        cells = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ]
        line = "  ".join(cells).rstrip()
        write(styled(line, "bold") if number == 0 else line)


def size(count: int, one: str, many: str = "") -> str:
    """ "1 passage", "2 passages"."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def follow(events: Generator[Progress, None, R]) -> R:
    """Runs a long verb to its end and returns what it returns, with a bar on stderr where that is a terminal, or
    telling `pipe`."""
    if pipe is not None:
        return _tell(events, pipe)
    if not sys.stderr.isatty():
        return _drain(events)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        return _show(events, bar)


def _show(events: Generator[Progress, None, R], bar: Bar) -> R:
    start = time.monotonic()
    task = bar.add_task("", total=None, rate="", note="")
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            result: R = end.value
            return result
        passages = event.counts.get("passages")
        rate = f"{event.unit}" if passages is None else f"{event.unit}, {passages / _since(start):,.0f} passages/s"
        note = clean(event.note).replace("\n", " ")[-60:]
        bar.update(task, completed=event.done, total=event.total or None, rate=rate, note=note)


def _since(start: float) -> float:
    return max(time.monotonic() - start, 1e-3)


def _tell(events: Generator[Progress, None, R], told: IO[str]) -> R:
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            result: R = end.value
            return result
        body = {"done": event.done, "total": event.total, "unit": event.unit, "note": event.note}
        told.write(json.dumps({**body, "counts": dict(event.counts)}) + "\n")


def _drain(events: Generator[Any, None, R]) -> R:
    while True:
        try:
            next(events)
        except StopIteration as end:
            result: R = end.value
            return result
