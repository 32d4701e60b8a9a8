"""Where suites come from in a workspace: its documents, and what people asked and said of the answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from knowhow.answer.feedback import KIND as FEEDBACK
from knowhow.answer.trace import KIND as TRACE
from knowhow.errors import NotFound, UsageProblem
from knowhow.evaluate.draft import draft
from knowhow.evaluate.failures import Cluster, failures
from knowhow.evaluate.from_traces import examples_from
from knowhow.settings import Settings
from knowhow.types import Document, Example, Filter, Json
from knowhow.workspace.parts import Parts
from knowhow.workspace.readable import readable


class Drafting:
    """Proposes examples. Only what the asker may see is read."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        self._parts = parts
        self._access = frozenset(settings.access)

    def from_documents(
        self, count: int, *, model: str = "", source: str | None = None, access: frozenset[str] | None = None
    ) -> list[Example]:
        """Up to `count` drafts from the documents; with `model`, also questions that it writes. Each example holds
        the tags of the documents it was made from. Raises `UsageProblem` where there is nothing to ask about."""
        store, filter = self._parts.store, Filter(self._access if access is None else access)
        infos = {info.uri: info for info in store.documents(filter, source=source) if info.version}
        texts = (store.document(uri, filter) for uri in infos)
        documents: list[Document] = [document for document in texts if document is not None]
        if not documents:
            raise UsageProblem("there are no documents to ask about; `knowhow ingest FOLDER` adds some")
        chat = self._parts.chat(model) if model else None
        return [
            _tagged(example, frozenset().union(*(infos[uri].access for uri in _sources(example))))
            for example in draft(documents, count, model=chat)
        ]

    def from_traces(
        self,
        *,
        since: float | None = None,
        traces: Sequence[str] = (),
        judged_only: bool = False,
        access: frozenset[str] | None = None,
    ) -> list[Example]:
        """Drafts from what was asked since then, or from the traces named; `judged_only` leaves out questions that
        nobody gave feedback on. Raises `NotFound` for a trace that is not there."""
        bodies = self._bodies(since, access)
        if traces:
            known = {body["id"]: body for body in self._bodies(None, access)}
            lost = [id for id in traces if id not in known]
            if lost:
                raise NotFound(f'no trace "{lost[0]}" that you may see; `knowhow traces failures` names some')
            bodies = [known[id] for id in traces]
        feedback = self._feedback(access)
        if judged_only:
            bodies = [body for body in bodies if feedback.get(body["id"])]
        return examples_from(bodies, feedback)

    def failures(self, *, since: float, access: frozenset[str] | None = None) -> list[Cluster]:
        """What went wrong in real use since then, in clusters, the largest first."""
        bodies = self._bodies(since, access)
        return failures(bodies, self._feedback(access), self._parts.embedder(), since=since, until=time.time())

    def _bodies(self, since: float | None, access: frozenset[str] | None) -> list[Json]:
        """Traces of questions that people asked, newest first; those of evaluations are not among them."""
        tags = self._access if access is None else access
        records = readable(self._parts.records.select(TRACE, tags, since=since), self._parts.store, tags)
        found = (record.body for record in records)
        return [body for body in found if body.get("draw") is None]

    def _feedback(self, access: frozenset[str] | None) -> dict[str, list[Json]]:
        tags = self._access if access is None else access
        found: dict[str, list[Json]] = {}
        records = self._parts.records.select(FEEDBACK, tags, oldest_first=True)
        for record in readable(records, self._parts.store, tags):
            found.setdefault(record.parent, []).append(record.body)
        return found


def _sources(example: Example) -> list[str]:
    return [item.source for item in example.expect.evidence] or [example.group]


def _tagged(example: Example, tags: frozenset[str]) -> Example:
    return replace(example, access=tags)
