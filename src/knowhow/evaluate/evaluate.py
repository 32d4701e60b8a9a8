"""Evaluate: one recipe put to every example of a suite, checked row by row, resumable at any moment."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from itertools import islice

from knowhow.errors import UsageProblem
from knowhow.evaluate.fit import Fit
from knowhow.evaluate.journal import Journal
from knowhow.evaluate.rows import ROW, RUN, row_of, row_record, run_json
from knowhow.evaluate.single import Asking, Setup, ask_one
from knowhow.evaluate.summary import Tally
from knowhow.ports import Record
from knowhow.suites import locate_evidence
from knowhow.types import (
    EVERYTHING,
    Document,
    Example,
    Filter,
    Located,
    Progress,
    Recipe,
    Row,
    Run,
    Split,
    Suite,
    fingerprint,
)

_BATCH = 50
"""Rows written in one transaction. What a crash loses of them is asked again from the cache of model calls."""
_ALL = Filter(access=frozenset({EVERYTHING}))


def evaluate(
    suite: Suite,
    recipe: Recipe,
    setup: Setup,
    *,
    split: Split | None = None,
    draws: int = 1,
    workers: int = 4,
    grounding: bool = True,
) -> Generator[Progress | Row, None, Run]:
    """Yields each row as it comes, with progress, and returns the run; closing it keeps what is done. Rows are counted
    and stored, not kept, so memory does not grow with their number.

    `split` keeps to the examples of one split (those without one count as `test`), and drafts are left out;
    `draws` asks each that often.
    The same suite, recipe, corpus and code are the same run: started again it goes on where it stopped, and no
    recorded model call is made again. A model that fails on an example gives a row with the reason, and is asked
    again next time; wrong keys, unknown models and unreachable hosts end the run at once (`ProviderProblem`).
    `grounding` looks every sentence up in the corpus. Raises `UsageProblem` where there is nothing to ask.
    """
    examples = chosen(suite, split)
    fit = Fit(recipe, suite, setup.embedder)
    started = time.time()
    revision = setup.store.revision()
    run = run_id(suite, recipe, split, draws, revision, judge=setup.judge.id if setup.judge else "")
    tally = Tally()
    done = set()
    for row in known_rows(setup, run):
        tally.add(row)
        done.add((row.draw, row.id))
    total = draws * len(examples)
    evidence = locate_evidence(examples, lambda uri, as_of: _document(setup, uri, as_of))
    missing = _missing(examples, draws, frozenset(done), fit, evidence, grounding)
    yield Progress(tally.n, total, "answers", recipe.name)
    waiting: list[Record] = []
    journal = Journal(setup.records)
    setup = replace(setup, records=journal)
    try:
        for row, access, uris in _in_parallel(setup, missing, workers):
            tally.add(row)
            waiting.append(row_record(row, run, access=access, uris=uris))
            if len(waiting) >= _BATCH:
                setup.records.put(waiting)
                waiting = []
            yield row
            yield Progress(tally.n, total, "answers", row.id)
    finally:
        if waiting:
            journal.put(waiting)
        journal.flush()
    result = _run(run, suite, recipe, split, draws, tally, started, revision)
    journal.put([Record(RUN, run, run_json(result))])
    journal.flush()
    return result


def run_id(suite: Suite, recipe: Recipe, split: Split | None, draws: int, revision: int, *, judge: str = "") -> str:
    """12 hex digits over everything that can change a row."""
    return fingerprint([suite.hash, recipe.hash, recipe.model, split, draws, revision, code_version(), judge], 12)


def code_version() -> str:
    """The version of Knowhow that is installed."""
    try:
        return version("knowhow-ai")
    except PackageNotFoundError:
        return "unknown"


def rows_of(setup: Setup, run: str) -> Iterator[Row]:
    """Every row of a run that is stored, failed ones included, in the order they were made."""
    for record in setup.records.select(ROW, _ALL.access, parent=run, oldest_first=True):
        yield row_of(record.body)


def known_rows(setup: Setup, run: str) -> Iterator[Row]:
    """Rows that need not be asked again."""
    return (row for row in rows_of(setup, run) if not row.failure)


def chosen(suite: Suite, split: Split | None) -> list[Example]:
    """Examples of the split that a person has kept. Raises `UsageProblem` where there is none."""
    if not suite.examples:
        raise UsageProblem(f"the suite {suite.name} is empty; `knowhow suite draft` proposes examples")
    kept = [one for one in suite.examples if not one.draft]
    if not kept:
        raise UsageProblem(f"all examples of {suite.name} are drafts; keep the good ones by removing their `draft`")
    chosen = [one for one in kept if split is None or (one.split or Split.TEST) is split]
    if not chosen:
        raise UsageProblem(f"no example of {suite.name} is in {split}; `knowhow suite split` assigns splits")
    return chosen


def _document(setup: Setup, uri: str, as_of: float | None) -> Document | None:
    return setup.store.document(uri, Filter(access=_ALL.access, as_of=as_of))


def _missing(
    examples: Sequence[Example],
    draws: int,
    done: Collection[tuple[int, str]],
    fit: Fit,
    evidence: Mapping[str, tuple[Located, ...]],
    grounding: bool,
) -> Iterator[Asking]:
    """What is still to be asked, each made when its turn comes."""
    for example in examples:
        left = [draw for draw in range(draws) if (draw, example.id) not in done]
        fitted = fit(example) if left else None
        for draw in left:
            assert fitted is not None
            yield Asking(example, fitted, evidence[example.id], draw, grounding)


def _in_parallel(
    setup: Setup, missing: Iterable[Asking], workers: int
) -> Iterator[tuple[Row, frozenset[str], frozenset[str]]]:
    """Rows as they are finished, never more than twice as many in flight as there are workers."""
    left = iter(missing)
    with ThreadPoolExecutor(max(workers, 1), "evaluate") as pool:
        flying: set[Future[tuple[Row, frozenset[str], frozenset[str]]]] = set()
        try:
            while True:
                room = 2 * max(workers, 1) - len(flying)
                flying |= {pool.submit(ask_one, setup, asking) for asking in islice(left, room)}
                if not flying:
                    return
                ready, flying = wait(flying, return_when=FIRST_COMPLETED)
                for future in ready:
                    yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _run(
    run: str,
    suite: Suite,
    recipe: Recipe,
    split: Split | None,
    draws: int,
    tally: Tally,
    started: float,
    revision: int,
) -> Run:
    return Run(
        id=run,
        recipe=recipe,
        suite=suite.name,
        suite_hash=suite.hash,
        split=split,
        draws=draws,
        checks=tally.shares(),
        every_draw=tally.every_draw() if draws > 1 else {},
        measures=tally.measures(),
        n=tally.n,
        failed=tally.failed,
        usage=tally.usage(),
        latency_ms=tally.latency(),
        timed=tally.n - tally.failed,
        remembered=tally.remembered,
        paid_usd=tally.paid_usd(),
        started=started,
        finished=time.time(),
        code=code_version(),
        data_revision=revision,
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    )
