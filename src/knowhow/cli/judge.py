"""`knowhow judge calibrate`: whether a model may judge answers, measured against people's labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from knowhow.cli import options
from knowhow.cli.arguments import read_rows
from knowhow.cli.output import note, write, write_json
from knowhow.cli.spending import DryRun, Spending, Yes, agree
from knowhow.errors import UsageProblem

REFUSED = 5


def judge_calibrate(
    labels: Annotated[
        Path,
        typer.Argument(metavar="FILE", help='JSONL {"id", "question", "answer", "good", and "reference" or "rubric"}.'),
    ],
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="The model that shall judge.")],
    dry_run: DryRun = False,
    yes: Yes = False,
    workspace: options.In = None,
    as_json: options.AsJson = False,
) -> None:
    """Measure a judge against labels that people gave.

    Exit code 5: it agrees too little (sensitivity + specificity − 1 below 0.6) and may not judge.

    \b
    Example: knowhow judge calibrate labels.jsonl --model openai:gpt-5-mini
    """
    from knowhow.evaluate.judge import LEAST_YOUDEN, Labelled
    from knowhow.workspace import Workspace

    items = []
    for row in read_rows(labels, ("answer",)):
        texts = {key: row.get(key, "") for key in ("question", "reference", "rubric")}
        if not isinstance(row.get("good"), bool) or not all(isinstance(text, str) for text in texts.values()):
            raise UsageProblem(f'{labels}, "{row["id"]}" needs good: true or false, and texts for its other keys')
        if not texts["reference"] and not texts["rubric"]:
            raise UsageProblem(f'{labels}, "{row["id"]}" has neither a reference nor a rubric to judge by')
        items.append(
            Labelled(row["id"], texts["question"], row["text"], row["good"], texts["reference"], texts["rubric"])
        )
    with Workspace.open(workspace) as opened:
        preview = opened.evaluations.preview_calibration(model, items)
        if not agree([preview], Spending(dry_run, yes, None), as_json):
            return
        found = opened.evaluations.calibrate(model, items)
    if as_json:
        write_json(found.to_json())
    else:
        for name, value, (low, high), count in (
            ("passes right answers", found.sensitivity, found.sensitivity_interval, found.good),
            ("fails wrong answers", found.specificity, found.specificity_interval, found.bad),
        ):
            write(f"{name}: {100 * value:.0f}% ({100 * low:.0f}-{100 * high:.0f}) of {count}")
        word = "it may judge" if found.usable else "it may not judge"
        write(f"sensitivity + specificity − 1 = {found.youden:.2f}; {word}")
    if not found.usable:
        note(f"{model} needs at least {LEAST_YOUDEN}; name another judge")
        raise typer.Exit(REFUSED)
