"""Recipes side by side on the larger data sets beside the repository: `python bench/evaluate_quality.py nq`.

Sets: nq (closed-book, rag, gold), clapnq (declines), hotpot (two documents), banking77 and clinc150 (labels). What was
asked is not asked again, so an interrupted run goes on; `--write` puts JSON and Markdown into docs/results.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Generator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from knowhow.evaluate.pages import Report, to_markdown
from knowhow.evaluate.rows import run_json
from knowhow.evaluate.tables import graded
from knowhow.report import to_markdown as table_markdown
from knowhow.suites.jsonl import write_lines
from knowhow.types import Evidence, Example, Expect, Recipe, Split, Suite, fingerprint
from knowhow.workspace import Workspace

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "docs" / "results"
T = TypeVar("T")
Made = tuple[list[dict[str, str]], list[Example]]


def nq(data: Path, limit: int) -> Made:
    """Questions with their gold passages: the corpus is all 1,300 of them."""
    rows = _lines(data / "nq_open_oracle" / "nq-open-oracle.jsonl")
    uris: dict[tuple[str, str], str] = {}
    examples = []
    for i, row in enumerate(rows):
        passage = row["ctxs"][0]
        uri = uris.setdefault((passage["title"], passage["text"]), f"p{len(uris)}")
        expect = Expect(facts=(tuple(row["answers"]),), evidence=(Evidence(uri),))
        examples.append(Example(f"q{i}", expect, question=row["question"], group=uri))
    return _documents(uris), examples[:limit]


def clapnq(data: Path, limit: int) -> Made:
    """Questions whose passages answer them, and as many whose passages do not; all passages are one corpus."""
    uris: dict[tuple[str, str], str] = {}
    examples = []
    for kind in ("answerable", "unanswerable"):
        for row in _lines(data / "clapnq_dev" / f"clapnq_dev_{kind}.jsonl"):
            own = [uris.setdefault((one["title"], one["text"]), f"p{len(uris)}") for one in row["passages"]]
            if len([1 for one in examples if one.tags == (kind,)]) >= limit // 2:
                continue
            without = kind == "unanswerable"
            evidence = () if without else tuple(Evidence(uri) for uri in own)
            expect = Expect(abstain=without, evidence=evidence, evidence_needed="any")
            examples.append(Example(f"{kind}-{row['id']}", expect, question=row["input"], group=own[0], tags=(kind,)))
    return _documents(uris), examples


def hotpot(data: Path, limit: int) -> Made:
    """Questions that need two passages of 994; both must be shown."""
    folder = data / "hipporag_multihop"
    corpus = json.loads((folder / "hotpotqa_train_corpus.json").read_text("utf-8"))
    examples = []
    for row in json.loads((folder / "hotpotqa_train.json").read_text("utf-8"))[:limit]:
        needed = sorted({title for title, _ in row["supporting_facts"]} & corpus.keys())
        expect = Expect(facts=((row["answer"],),), evidence=tuple(Evidence(title) for title in needed))
        examples.append(Example(row["_id"], expect, question=row["question"], group=row["_id"]))
    documents = [{"_id": title, "title": title, "text": "".join(text)} for title, text in corpus.items()]
    return documents, examples


def banking77(data: Path, limit: int) -> Made:
    """77 intents: messages of the test file, drawn by a hash; worked examples from the training file."""
    rows = []
    for split in (Split.TRAIN, Split.TEST):
        with (data / "banking77" / f"{split}.csv").open(encoding="utf-8") as file:
            rows += [(split, row["text"], row["category"]) for row in csv.DictReader(file)]
    return _labels(rows, limit)


def clinc150(data: Path, limit: int) -> Made:
    """150 intents and out of scope."""
    body = json.loads((data / "clinc150" / "data_full.json").read_text("utf-8"))
    names = {"train": Split.TRAIN, "oos_train": Split.TRAIN, "test": Split.TEST, "oos_test": Split.TEST}
    return _labels([(split, text, label) for name, split in names.items() for text, label in body[name]], limit)


def _labels(rows: list[tuple[Split, str, str]], limit: int) -> Made:
    labels = tuple(sorted({label for _, _, label in rows}))
    examples = [
        Example(f"{split}-{i}", Expect(label=label, labels=labels), input=text, group=f"{split}-{i}", split=split)
        for i, (split, text, label) in enumerate(rows)
    ]
    tested = sorted((one for one in examples if one.split is Split.TEST), key=lambda one: fingerprint(one.id))
    return [], [one for one in examples if one.split is Split.TRAIN] + tested[:limit]


SETS: dict[str, tuple[Callable[[Path, int], Made], str]] = {
    "nq": (nq, "closed-book,gold,rag"),
    "clapnq": (clapnq, "rag"),
    "hotpot": (hotpot, "rag"),
    "banking77": (banking77, "prompt,few-shot,few-shot+schema"),
    "clinc150": (clinc150, "prompt,few-shot,few-shot+schema"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--work", type=Path, required=True, help="folder of the workspaces; kept between runs")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--model", default="local:starter")
    parser.add_argument("--recipes", default="")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    make, recipes = SETS[args.set]
    documents, examples = make(args.data, args.limit)
    with _workspace(args.work / args.set, documents) as workspace:
        evaluations = workspace.evaluations
        named = [_recipe(workspace, name, args.model) for name in (args.recipes or recipes).split(",")]
        plan = evaluations.plan(Suite(args.set, tuple(examples)), named)
        if len(named) > 1:
            compared = _follow(evaluations.compare(plan, workers=args.workers))
            done, pairs, baseline = compared.runs, compared.pairs, compared.baseline
        else:
            done, pairs, baseline = (_follow(evaluations.evaluate(plan, named[0], workers=args.workers)),), (), ""
    report = Report(tuple(one.run for one in done), {one.run.recipe.name: one.rows for one in done}, baseline, pairs)
    text = to_markdown(report) + "".join(
        f"\n\n{one.run.recipe.name}:\n\n{table_markdown(graded(one.run))}" for one in (done if len(done) > 1 else ())
    )
    print(text)
    if args.write:
        body = {"runs": [run_json(one.run) for one in done], "pairs": [asdict(pair) for pair in pairs]}
        name = f"evaluate-{args.set}-{args.model.replace(':', '-')}"
        (RESULTS / f"{name}.json").write_text(json.dumps(body, indent=1) + "\n", "utf-8")
        (RESULTS / f"{name}.md").write_text(text, "utf-8")


def _recipe(workspace: Workspace, name: str, model: str) -> Recipe:
    if name == "few-shot+schema":
        return replace(
            workspace.recipe("few-shot"), name=name, form=workspace.recipe("prompt+schema").form, model=model
        )
    return workspace.recipe(name, {"model": model})


def _workspace(folder: Path, documents: list[dict[str, str]]) -> Workspace:
    fresh = not folder.exists()
    workspace = Workspace.init(folder)
    if fresh and documents:
        write_lines(documents, folder / "corpus.jsonl")
        workspace.ingest(folder / "corpus.jsonl", as_documents=True)
    return workspace


def _documents(uris: dict[tuple[str, str], str]) -> list[dict[str, str]]:
    return [{"_id": uri, "title": title, "text": text} for (title, text), uri in uris.items()]


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def _follow(flow: Generator[Any, None, T]) -> T:
    while True:
        try:
            next(flow)
        except StopIteration as done:
            result: T = done.value
            return result


if __name__ == "__main__":
    main()
