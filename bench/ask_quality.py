"""How good answers are: `python bench/ask_quality.py RUN`, RUN one of those listed at the end of this file.

Needs the larger data sets beside the repository (`--data`). Questions already answered are not asked again: rows are
kept in `--work` by model and recipe, so an interrupted run goes on. `--write` puts JSON and Markdown into docs/results.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from knowhow.answer.cite import Grounds
from knowhow.answer.conflict import conflicts
from knowhow.answer.decline import declines
from knowhow.answer.followup import understand
from knowhow.answer.guard import orders
from knowhow.answer.sentences import sentences
from knowhow.answer.values import agree, values
from knowhow.answer.verify import Rarity, check
from knowhow.settings.fitted import written
from knowhow.types import Answer, Context, Document, Hit, Message, Place, Range, Recipe, SearchMode, Shown, Support
from knowhow.workspace import Workspace, answer_json

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "docs" / "results"
Row = dict[str, Any]


# --- the runs ---------------------------------------------------------------------------------------------


def nq(args: argparse.Namespace) -> Row:
    """The first questions of nq_open_oracle over all 1,300 gold passages."""
    rows = [json.loads(line) for line in (args.data / "nq_open_oracle" / "nq-open-oracle.jsonl").open()]
    workspace = corpus(
        args, "nq", ((f"nq-{i:04}", r["ctxs"][0]["title"], r["ctxs"][0]["text"]) for i, r in enumerate(rows))
    )

    def one(i: int) -> Row:
        answer = workspace.ask(rows[i]["question"], recipe(args))
        included = not answer.abstained and holds(answer.text, rows[i]["answers"])
        return {**brief(answer), "included": included, "found": f"nq-{i:04}" in {p.hit.uri for p in answer.shown}}

    done = each(args, "nq", range(args.first, args.first + args.limit), one)
    cited = Counter(support for row in done for support in row["supports"])
    return {
        "questions": len(done),
        "gold passage shown": share(row["found"] for row in done),
        "answer inclusion": share(row["included"] for row in done),
        "declined": share(row["abstained"] for row in done),
        "inclusion where answered": share(row["included"] for row in done if not row["abstained"]),
        "citations supported": cited["yes"] / max(sum(cited.values()), 1),
        "sentences unsupported": sum(row["unsupported"] for row in done)
        / max(sum(row["sentences"] for row in done), 1),
        "seconds a question": sum(row["seconds"] for row in done) / max(len(done), 1),
    }


def clapnq(args: argparse.Namespace) -> Row:
    """Declines with the gold passage shown: questions the passage answers, and questions it does not."""
    kinds = ("answerable", "unanswerable")
    rows = [
        (kind, json.loads(line))
        for kind in kinds
        for line in list((args.data / "clapnq_dev" / f"clapnq_dev_{kind}.jsonl").open())[
            args.first : args.first + args.limit
        ]
    ]
    documents = [(f"{kind}-{row['id']}", row["passages"][0]["title"], row["passages"][0]["text"]) for kind, row in rows]
    workspace = corpus(args, f"clapnq-{args.first}-{args.limit}", documents)

    def one(i: int) -> Row:
        uri, _, text = documents[i]
        gold = replace(recipe(args), context=Context.GOLD)
        answer = workspace.ask(rows[i][1]["input"], gold, gold=[Range(uri, 1, 0, len(text))])
        return {**brief(answer), "kind": rows[i][0]}

    done = each(args, f"clapnq-{args.first}", range(len(rows)), one)
    declined = {kind: [row["abstained"] for row in done if row["kind"] == kind] for kind in kinds}
    right, all_declined = sum(declined["unanswerable"]), sum(declined["unanswerable"]) + sum(declined["answerable"])
    return {
        "questions": len(done),
        "abstention recall": share(declined["unanswerable"]),
        "abstention precision": right / max(all_declined, 1),
        "wrongly declined": share(declined["answerable"]),
    }


def docugami(args: argparse.Namespace) -> Row:
    """Questions on one filing, asked of that filing: whether a cited page holds a figure of the reference answer."""
    folder = args.data / "docugami_sec10q"
    workspace = Workspace.init(args.work / "docugami")
    workspace.ingest(folder / "docs")
    rows = [r for r in csv.DictReader((folder / "qna_data.csv").open()) if r["Question Type"].startswith("Single-Doc")]
    rows = rows[args.first : args.first + args.limit]
    names = {Path(info.uri).stem: info.uri for info in workspace.documents()}

    def one(i: int) -> Row:
        document = workspace.document(names[rows[i]["Source Docs"].strip("*")])
        figures = telling_figures(rows[i]["Answer"].split("SOURCE")[0], document.text)
        if not figures:
            return {"skipped": True}
        answer = workspace.ask(rows[i]["Question"], recipe(args), where={"uri": document.uri})
        pages = [page_text(document, c.place.page) for c in answer.citations]
        shown = [page_text(document, p.hit.place.page) for p in answer.shown]
        return {
            **brief(answer),
            "skipped": False,
            "right": any(has_figure(page, figures) for page in pages),
            "shown_right": any(has_figure(page, figures) for page in shown),
            "figure_said": has_figure(answer.text, figures),
        }

    done = [row for row in each(args, "docugami", range(len(rows)), one) if not row["skipped"]]
    return {
        "questions with a figure": len(done),
        "a shown page holds it": share(row["shown_right"] for row in done),
        "the cited page holds it": share(row["right"] for row in done),
        "the cited page holds it, where answered": share(row["right"] for row in done if not row["abstained"]),
        "the answer says it": share(row["figure_said"] for row in done),
        "declined": share(row["abstained"] for row in done),
    }


KITE_KEYS = (
    ("world where everyone codes", "everyone codes"),
    ("enterprise adoption",),
    ("BambooHR",),
    ("equity compensation", "revenue targets"),
    ("L1", "Tier 1"),
    ("update any links", "rename the file", "update links", "moving a page"),
    ("on-call", "evenings", "weekends"),
    ("all-remote",),
    ("High agency",),
    ("thoughtful", "async"),
)
"""What the passage that holds each answer says, alternatives; read off the reference answers and the handbook."""


def kite(args: argparse.Namespace) -> Row:
    """Ten questions on a company handbook: the passage that holds the answer in the top ten, and the answers."""
    folder = args.data / "kite_sourcegraph_handbook"
    workspace = Workspace.init(args.work / "kite")
    workspace.ingest(folder / "corpus")
    questions = json.loads((folder / "queries" / "sourcegraph.json").read_text())
    lines, found = [], 0
    for number, (row, keys) in enumerate(zip(questions, KITE_KEYS, strict=True), 1):
        hits = workspace.search(row["query"], k=10, mode=SearchMode.HYBRID).hits
        rank = next((hit.rank for hit in hits if any(key.casefold() in hit.text.casefold() for key in keys)), None)
        found += rank is not None
        answer = workspace.ask(row["query"], recipe(args))
        lines += [f"## {number}. {row['query']}", "", f"Passage with the answer at rank {rank or '> 10'}.", ""]
        lines += [f"> {line}" for line in (answer.text or "").splitlines()]
        lines += ["", answer.explanation] if answer.explanation else []
        lines += [
            f"- [{c.mark}] `{c.uri}` {c.start}-{c.end}, {c.supported.value}: {c.quote[:160]!r}"
            for c in answer.citations
        ]
        lines += ["", f"Reference: {row['gt_answer']}", ""]
        print(number, rank, answer.text[:100], flush=True)
    if args.write:
        head = f"# Ten questions on a company handbook, answered by {args.model}\n\n"
        head += f"`python bench/ask_quality.py kite --model {args.model} --write`\n\n"
        head += f"The passage that holds the answer is in the top ten for {found} of 10 questions.\n\n"
        (RESULTS / "kite.md").write_text(head + "\n".join(lines))
    return {"questions": 10, "answer passage in top ten": found}


def conflict_rates(args: argparse.Namespace) -> Row:
    """Facts that changed in two handbooks, old beside new; and real passages side by side, which do not conflict."""
    numeric = caught = 0
    for path in sorted((args.data / "handbooks").glob("*/facts.jsonl")):
        for line in path.open():
            fact = json.loads(line)
            if not (values(fact["answer_before"]) and values(fact["answer_after"])):
                continue
            numeric += 1
            sides = [("old/", fact["old_statement"]), ("new/", fact["new_statement"])]
            shown = [passage(str(n), f"{lead}{fact['path']}", text) for n, (lead, text) in enumerate(sides, 1)]
            caught += bool(conflicts(fact["question"], shown))
    workspace, questions = nq_questions(args)
    false = 0
    for question in questions:
        shown = [Shown(str(hit.rank), hit, hit.text) for hit in workspace.search(question, k=6).hits]
        false += bool(conflicts(question, shown))
    return {"changed figures": numeric, "caught": caught, "other questions": len(questions), "false conflicts": false}


def checks(args: argparse.Namespace) -> Row:
    """Supported sentences of answers that people found faithful (mean of three >= 3.5 of 4) and not (< 3)."""
    path = args.data / "mtrag_human" / "mtrag-human" / "evaluations" / "reference_subset_with_human_evaluations.json"
    body = json.loads(path.read_text())
    texts = {document["document_id"]: document for document in body["documents"]}
    tasks = {task["task_id"]: task for task in body["tasks"]}
    shares: dict[str, list[tuple[float, float]]] = {"odd": [], "even": []}
    for n, row in enumerate(body["evaluations"]):
        rated = [float(v["value"]) for v in row["annotations"].get("faithfulness", {}).values() if "value" in v]
        contexts = tasks[row["task_id"]]["contexts"]
        if not rated or not contexts or declines(row["model_response"]):
            continue
        shown = [
            passage(str(i), c["document_id"], texts[c["document_id"]]["text"], texts[c["document_id"]].get("title", ""))
            for i, c in enumerate(contexts, 1)
        ]
        grounds, text = Grounds(shown, tasks[row["task_id"]]["input"][-1]["text"]), row["model_response"]
        judged = [grounds.judge(text, unit, ()).support for unit in sentences(text) if unit.kind != "heading"]
        counted = [support is Support.YES for support in judged if support is not Support.UNCHECKED]
        if counted:
            shares["odd" if n % 2 else "even"].append((sum(rated) / len(rated), sum(counted) / len(counted)))
    result: Row = {}
    for half, pairs in shares.items():
        good = [s for rating, s in pairs if rating >= 3.5]
        bad = [s for rating, s in pairs if rating < 3]
        result[half] = {
            "answers": len(pairs),
            "supported, faithful answers": sum(good) / len(good),
            "supported, unfaithful answers": sum(bad) / len(bad),
            "AUC": sum((g > b) + 0.5 * (g == b) for g in good for b in bad) / (len(good) * len(bad)),
        }
    return result


def followups(args: argparse.Namespace) -> Row:
    """Later turns of real conversations: share of their passages among six hits, asked alone and understood."""
    path = args.data / "mtrag_human" / "mtrag-human" / "evaluations" / "reference_subset_with_human_evaluations.json"
    body = json.loads(path.read_text())
    documents = ((d["document_id"], d.get("title") or "", d["text"]) for d in body["documents"])
    workspace = corpus(args, "mtrag", documents)

    def recall(text: str, wanted: set[str]) -> float:
        return len(wanted & {hit.uri for hit in workspace.search(text, k=6).hits}) / len(wanted)

    rows: list[tuple[bool, float, float]] = []
    for task in body["tasks"]:
        wanted = {context["document_id"] for context in task["contexts"]}
        turns = [Message("user" if t["speaker"] == "user" else "assistant", t["text"]) for t in task["input"]]
        if wanted and len(turns) > 1:
            understood = understand(turns[-1].content, turns[:-1])
            alone, together = recall(turns[-1].content, wanted), recall(understood.search, wanted)
            rows.append((bool(understood.carried), alone, together))
    leaning = [row for row in rows if row[0]]
    return {
        name: {"n": len(part), "alone": mean(row[1] for row in part), "understood": mean(row[2] for row in part)}
        for name, part in (("all", rows), ("taken for follow-ups", leaning))
    }


def scifact(args: argparse.Namespace) -> Row:
    """Claims against the sentences that experts marked as supporting or contradicting them, and one other sentence."""
    folder = args.data / "scifact"
    abstracts = {row["_id"]: row for row in map(json.loads, (folder / "corpus.jsonl").open())}
    accepted: dict[str, list[bool]] = {"SUPPORT": [], "CONTRADICT": [], "other": []}
    for claim in map(json.loads, (folder / "queries.jsonl").open()):
        for uri, evidence in claim["evidence"].items():
            body = abstracts[uri]
            ends = [*body["sent_starts"][1:], len(body["text"])]
            parts = [body["text"][a:b].strip() for a, b in zip(body["sent_starts"], ends, strict=True)]
            marked = {i for row in evidence for i in row["sentences"]}
            sides = [(row["label"], " ".join(parts[i] for i in row["sentences"])) for row in evidence]
            sides += [("other", part) for i, part in enumerate(parts) if i not in marked][:1]
            for label, text in sides:
                found = check(claim["text"], text, around=body["title"], rarity=Rarity(parts))
                accepted[label].append(found.support is Support.YES)
    return {label: {"n": len(flags), "accepted": share(flags)} for label, flags in accepted.items()}


def relevance(args: argparse.Namespace) -> Row:
    """How relevant the best hit is with the gold passage in the corpus, and for questions about something else."""
    workspace, questions = nq_questions(args)
    foreign = json.loads((args.data / "kite_sourcegraph_handbook" / "queries" / "sourcegraph.json").read_text())

    def best(question: str) -> float:
        return max((hit.relevance for hit in workspace.search(question, k=6).hits), default=0.0)

    own, other = [best(q) for q in questions], [best(row["query"]) for row in foreign]
    steps = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
    return {f"{t:.2f}": {"kept": share(x >= t for x in own), "declined": share(x < t for x in other)} for t in steps}


def order_rates(args: argparse.Namespace) -> Row:
    """Real documents that are taken for orders to the model although they are none (false withholdings)."""
    counts: Row = {}
    for name, texts in (
        (
            "nq_open_oracle",
            (
                json.loads(line)["ctxs"][0]["text"]
                for line in (args.data / "nq_open_oracle" / "nq-open-oracle.jsonl").open()
            ),
        ),
        (
            "kite handbook",
            (p.read_text(errors="replace") for p in (args.data / "kite_sourcegraph_handbook" / "corpus").rglob("*.md")),
        ),
        ("scifact", (json.loads(line)["text"] for line in (args.data / "scifact" / "corpus.jsonl").open())),
    ):
        found = total = 0
        for text in texts:
            total += len(sentences(text))
            held = orders(text)
            found += len(held)
            for start, end in held:
                print(name, "|", " ".join(text[start:end].split())[:160])
        counts[name] = {"sentences": total, "withheld": found}
    return counts


# --- what they share --------------------------------------------------------------------------------------


def corpus(args: argparse.Namespace, name: str, documents: Iterable[tuple[str, str, str]]) -> Workspace:
    """A workspace holding (uri, title, text) as documents."""
    home = args.work / name
    home.mkdir(parents=True, exist_ok=True)
    file = home / "corpus.jsonl"
    file.write_text("\n".join(json.dumps({"_id": u, "title": t, "text": x}) for u, t, x in documents))
    workspace = Workspace.init(home)
    workspace.ingest(file, as_documents=True)
    return workspace


def nq_questions(args: argparse.Namespace) -> tuple[Workspace, list[str]]:
    rows = [json.loads(line) for line in (args.data / "nq_open_oracle" / "nq-open-oracle.jsonl").open()]
    workspace = corpus(
        args, "nq", ((f"nq-{i:04}", r["ctxs"][0]["title"], r["ctxs"][0]["text"]) for i, r in enumerate(rows))
    )
    return workspace, [row["question"] for row in rows[args.first : args.first + args.limit]]


def recipe(args: argparse.Namespace) -> Recipe:
    """`rag` as it is asked with by this model; `--k` counts as chosen."""
    return written(Recipe()).changed({"model": args.model, **({"k": args.k} if args.k else {})}).fitted()


def each(args: argparse.Namespace, name: str, items: Iterable[int], one: Callable[[int], Row]) -> list[Row]:
    """One row an item; rows of an earlier run with the same model and recipe are taken as they are."""
    file = args.work / f"{name}-{re.sub(r'[^a-z0-9]+', '-', args.model.lower())}-{recipe(args).hash}.jsonl"
    known = {row["item"]: row for row in map(json.loads, file.open())} if file.exists() else {}
    rows = []
    with file.open("a") as out:
        for item in items:
            if item not in known:
                began = time.perf_counter()
                row = one(item)
                known[item] = {"item": item, **row, "seconds": time.perf_counter() - began}
                out.write(json.dumps(known[item], ensure_ascii=False) + "\n")
                out.flush()
            rows.append(known[item])
    return rows


def brief(answer: Answer) -> Row:
    body = answer_json(answer)
    return {
        "answer": answer.text,
        "abstained": answer.abstained,
        "reason": body["reason"],
        "supports": [c["supported"] for c in body["citations"]],
        "unsupported": len(answer.unsupported),
        "sentences": len({tuple(c["sentence"]) for c in body["citations"]} | set(answer.unsupported)),
    }


def passage(mark: str, uri: str, text: str, title: str = "") -> Shown:
    hit = Hit(1, (1,), uri, 1, 0, len(text), text, title, Place(), "", 1.0, 1.0, 1.0)
    return Shown(mark, hit, text)


def holds(text: str, answers: Sequence[str]) -> bool:
    """Answer inclusion: one of the answers stands in the text, case, punctuation and articles aside."""
    return any(_plain(answer) in _plain(text) for answer in answers)


def _plain(text: str) -> str:
    words = re.sub(r"[^\w\s]", " ", text.lower()).split()
    return " ".join(word for word in words if word not in ("a", "an", "the"))


def telling_figures(answer: str, text: str) -> list[Any]:
    """Figures of a reference answer, of at least three digits or with a decimal, that the document holds."""
    there = values(text)
    found = []
    for value in values(answer):
        digits = re.sub(r"\D", "", answer[value.start : value.end])
        if len(digits) >= 3 and getattr(value, "month", None) is None and any(agree(value, other) for other in there):
            found.append(value)
    return found


def has_figure(text: str, figures: Sequence[Any]) -> bool:
    there = values(text)
    return any(agree(figure, other) for figure in figures for other in there)


def page_text(document: Document, page: int | None) -> str:
    return "\n".join(
        document.text[s.start : s.end] for s in document.spans if page is not None and s.place.page == page
    )


def share(flags: Iterable[bool]) -> float:
    found = list(flags)
    return sum(found) / len(found) if found else 0.0


RUNS = {
    "nq": nq,
    "clapnq": clapnq,
    "docugami": docugami,
    "kite": kite,
    "conflicts": conflict_rates,
    "checks": checks,
    "followups": followups,
    "scifact": scifact,
    "relevance": relevance,
    "orders": order_rates,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", choices=RUNS)
    parser.add_argument("--model", default="extractive")
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "knowhow-ask-quality")
    parser.add_argument("--first", type=int, default=0, help="first question; choose on some, report on others")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--k", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    result = {"run": args.run, "model": args.model, "first": args.first, "limit": args.limit, **RUNS[args.run](args)}
    print(json.dumps(result, indent=2))
    if args.write:
        RESULTS.mkdir(parents=True, exist_ok=True)
        name = f"ask-{args.run}-{re.sub(r'[^a-z0-9]+', '-', args.model.lower())}.json"
        (RESULTS / name).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
