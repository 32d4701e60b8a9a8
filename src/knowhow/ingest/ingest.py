"""Ingest is a sync: each named source becomes equal to its folder, and no other source is touched."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from knowhow.errors import ConfigProblem, UnreadableFile, UsageProblem
from knowhow.ingest.access_rules import AccessRules, Tagging, check_tags, own_tags, parse_rules
from knowhow.ingest.batch import Batch, Vectors
from knowhow.ingest.corpus import scan_corpus
from knowhow.ingest.dates import effective_at, supersedes
from knowhow.ingest.plan import (
    Plan,
    Step,
    make_plan,
    make_stamp,
    refuse_clashes,
    refuse_loss,
    refuse_other_folder,
)
from knowhow.ingest.readers.scans import installed
from knowhow.ingest.reading import Outcome, read_tasks
from knowhow.ingest.scan import Scan, scan_files, scan_folder
from knowhow.ingest.sources import FILES, Target, resolve_targets
from knowhow.ports import Embedder, Fail, Remove, SetAccess, Source, Store
from knowhow.types import (
    EVERYTHING,
    Document,
    DocumentInfo,
    DocumentState,
    Extract,
    Failure,
    Filter,
    IndexSpec,
    IngestReport,
    Progress,
)

_ALL = Filter(access=frozenset({EVERYTHING}))


def ingest(
    targets: Sequence[str | Path],
    *,
    store: Store,
    index: str,
    embedder: Embedder,
    spec: IndexSpec,
    name: str | None = None,
    yes: bool = False,
    access: frozenset[str] | None = None,
    rules: AccessRules | None = None,
    as_documents: bool = False,
    workers: int | None = None,
    ocr: bool = True,
) -> Generator[Progress, None, IngestReport]:
    """Makes the sources that `targets` stand for equal to what is there now, and returns what that took.

    Everything is decided before anything is written: a refusal (`UsageProblem`) leaves the store as it was. After
    that each document is replaced atomically and stays replaced, so that closing the generator, or a crash, loses
    at most the few batches on their way, and the same call goes on with the rest.

    `name` prefixes the uris (`NAME/…`). `yes` allows removing more than half of a source. `access` and `rules` are
    the tags its documents carry; None leaves those of the last sync. `workers` is the number of reader processes.
    Without `ocr` scans stay unread also where the extra is installed.
    """
    started = time.monotonic()
    if (embedder.name, embedder.dims) != (spec.embedder, spec.dims):
        raise ConfigProblem(
            f"index {index} was made with embedder {spec.embedder!r}, not {embedder.name!r}; "
            "embed everything again with: knowhow reindex"
        )
    checked = None if access is None else check_tags(access, "--access")
    plans: list[Plan] = []
    for target in resolve_targets(targets, store.sources(), name=name, as_documents=as_documents):
        plan = yield from _plan(store, _tagged(target, checked, rules), plans, yes, ocr)
        plans.append(plan)
    vectors = Vectors(store, [index], embedder)
    tally = _Tally(vectors)
    for plan in plans:
        with Batch(store, index, spec, vectors) as batch:
            yield from _sync(store, plan, batch, checked, tally, workers, ocr)
    return tally.report(time.monotonic() - started)


def _tagged(target: Target, access: frozenset[str] | None, rules: AccessRules | None) -> Target:
    """The target with the tags and rules asked for; tags of single files belong to the files, not to the source."""
    source = target.source
    if target.files and source.kind != FILES and (access is not None or rules is not None):
        raise UsageProblem(
            f"{target.files[0]} belongs to source {source.name!r}, whose documents share their access tags and rules; "
            f"nothing was changed. Give them to the whole source: knowhow ingest {source.root}"
        )
    if rules is not None:
        source = replace(source, rules=rules.text)
    if access is not None and source.kind != FILES:
        source = replace(source, access=access)
    return replace(target, source=source)


def _plan(
    store: Store, target: Target, earlier: Sequence[Plan], yes: bool, ocr: bool
) -> Generator[Progress, None, Plan]:
    """Looks at what is there and decides; raises `UsageProblem` for a plan that should not be carried out."""
    source = target.source
    scan = _scan(target)
    known = store.stamps(source.name)
    if source.kind == FILES:
        refuse_other_folder(scan, known)
    plan = yield from make_plan(source, scan, known, partial=bool(target.files), ocr=ocr and installed())
    refuse_loss(plan, len(known), yes)
    new = {task.found.uri for task in plan.tasks if task.found.uri not in known}
    if new:
        refuse_clashes(plan, _taken(store, source, new, earlier))
    if plan.partial:
        return plan
    paths = (found.uri.removeprefix(source.prefix) for found in scan.found)
    unmatched = parse_rules(source.rules).unmatched(paths)
    plan.warnings += [(pattern, "this access rule matches no document") for pattern in unmatched]
    return plan


def _scan(target: Target) -> Scan:
    source, root = target.source, Path(target.source.root)
    if target.files:
        return scan_files(target.files, source.prefix, source.root)
    if not root.exists():
        return Scan()
    return scan_corpus(root, source.prefix) if source.kind == "jsonl" else scan_folder(root, source.prefix)


def _taken(store: Store, source: Source, new: set[str], earlier: Sequence[Plan]) -> dict[str, str]:
    """Those of the `new` uris that another source has, or is about to get."""
    taken = {}
    for other in store.sources():
        if other.name != source.name and (not other.prefix or any(uri.startswith(other.prefix) for uri in new)):
            taken.update(dict.fromkeys(new & store.stamps(other.name).keys(), other.name))
    for plan in earlier:
        taken.update({task.found.uri: plan.source.name for task in plan.tasks if task.found.uri in new})
    return taken


def _sync(
    store: Store,
    plan: Plan,
    batch: Batch,
    access: frozenset[str] | None,
    tally: _Tally,
    workers: int | None,
    ocr: bool,
) -> Generator[Progress, None, None]:
    """Carries the plan out: tags first, then what must stop answering, then documents as they are read."""
    source = plan.source
    if source not in store.sources():
        store.put_source(source)
    tagging = Tagging(access if source.kind == FILES else source.access, parse_rules(source.rules), source.prefix)
    before = _retag(store, plan, tagging, batch, tally)
    for uri in plan.removed:
        batch.change(Remove(uri))
        if batch.is_full:
            batch.write()
    for stamp in plan.stamps:
        batch.stamp(stamp)
    batch.write()
    tally.start(plan)
    total = len(plan.tasks)
    yield Progress(0, total, "files", source.name, tally.counts())
    with closing(read_tasks(plan.tasks, workers, ocr)) as outcomes:
        for number, outcome in enumerate(outcomes, start=1):
            _take(outcome, plan, tagging, before.get(outcome.task.found.uri), batch, tally)
            if batch.is_full:
                batch.send()
            yield Progress(number, total, "files", outcome.task.found.uri, tally.counts())
    batch.write()


def _retag(store: Store, plan: Plan, tagging: Tagging, batch: Batch, tally: _Tally) -> dict[str, DocumentInfo]:
    """Puts changed tags in force without reading anything; returns how the documents to be read stand now.

    Also for what was removed: its versions still answer questions about the past.
    """
    removed, tasks = set(plan.removed), {task.found.uri for task in plan.tasks}
    given = tasks | {found.uri for found in plan.unchanged} if plan.partial else None
    before: dict[str, DocumentInfo] = {}
    changes = []
    for info in _standing(store, plan.source.name, given):
        if info.uri in removed or (given is not None and info.uri not in given):
            continue
        failed = info.state is DocumentState.FAILED
        if info.uri in tasks:
            before[info.uri] = info
        elif failed:
            tally.failed.append(Failure(info.uri, info.reason, info.detail))
        # What a failed document said of itself is not known any more, so it keeps the tags it had.
        own = info.access if failed else own_tags(info.metadata)
        tags = tagging.tags(info.uri, info.access) | own
        if info.state is DocumentState.REMOVED and (info.reason == "moved" or not info.media_type):
            # The same text goes on elsewhere, perhaps closed more tightly; or its own tags were pruned with it.
            tags |= info.access
        if tags != info.access:
            changes.append(SetAccess(info.uri, tags))
    for change in changes:
        batch.change(change)
        if batch.is_full:
            batch.write()
    return before


def _standing(store: Store, source: str, given: set[str] | None) -> Iterator[DocumentInfo]:
    """How the documents of a source stand, those gone included; only the `given` ones where these are few."""
    filters = [_ALL] if given is None else [replace(_ALL, where={"uri": uri}) for uri in sorted(given)]
    for filter in filters:
        yield from store.documents(filter, source=source, removed=True)


def _take(
    outcome: Outcome, plan: Plan, tagging: Tagging, before: DocumentInfo | None, batch: Batch, tally: _Tally
) -> None:
    """Puts one outcome into the batch: a new version, or a failure that makes the old text stop answering."""
    task, source = outcome.task, plan.source
    uri, stamp = task.found.uri, make_stamp(task.found, outcome.content_hash, plan.at_ns)
    tags = before.access if before else frozenset()
    try:
        if isinstance(outcome.result, UnreadableFile):
            raise outcome.result
        own = own_tags(outcome.result.metadata, outcome.result.text)
        document = _document(source, uri, outcome, tagging.tags(uri, tags) | own)
    except UnreadableFile as problem:
        failure = Failure(uri, problem.reason.value, problem.detail)
        tally.failed.append(failure)
        if task.moved_from:
            batch.change(Remove(task.moved_from))
        if before and Failure(uri, before.reason, before.detail) == failure:
            batch.stamp(stamp)
        else:
            tags |= tagging.tags(uri, tags)
            batch.change(Fail(uri, source.name, failure.reason, failure.detail, outcome.content_hash, tags), stamp)
        return
    tally.took(task.step, uri, task.moved_from, task.found.size, batch.put(document, stamp, task.moved_from))
    tally.warnings += [(uri, warning) for warning in outcome.result.warnings]


def _document(source: Source, uri: str, outcome: Outcome, access: frozenset[str]) -> Document:
    extract = outcome.result
    assert isinstance(extract, Extract)
    return Document(
        uri=uri,
        text=extract.text,
        title=extract.title or PurePosixPath(uri).stem,
        media_type=extract.media_type,
        source=source.name,
        spans=extract.spans,
        metadata=extract.metadata,
        access=access,
        content_hash=outcome.content_hash,
        effective_at=effective_at(extract.metadata, uri),
        supersedes=supersedes(extract.metadata, uri, source.prefix),
    )


@dataclass(slots=True)
class _Tally:
    """What has been done so far, for progress and the report."""

    vectors: Vectors
    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: int = 0
    failed: list[Failure] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    passages: int = 0
    bytes: int = 0

    def start(self, plan: Plan) -> None:
        standing = {failure.uri for failure in self.failed}
        self.removed += plan.removed
        self.unchanged += sum(found.uri not in standing for found in plan.unchanged)
        self.failed += plan.failed
        self.warnings += plan.warnings

    def took(self, step: Step, uri: str, moved_from: str, size: int, passages: int) -> None:
        if step is Step.MOVE:
            self.moved.append((moved_from, uri))
        else:
            (self.added if step is Step.ADD else self.updated).append(uri)
        self.passages += passages
        self.bytes += size

    def counts(self) -> dict[str, int]:
        return {
            "passages": self.passages,
            "embedded": self.vectors.embedded,
            "bytes": self.bytes,
            "failed": len(self.failed),
        }

    def report(self, seconds: float) -> IngestReport:
        return IngestReport(
            added=self.added,
            updated=self.updated,
            moved=self.moved,
            removed=self.removed,
            unchanged=self.unchanged,
            failed=self.failed,
            warnings=self.warnings,
            passages=self.passages,
            embedded=self.vectors.embedded,
            seconds=seconds,
        )
