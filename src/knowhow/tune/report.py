"""What a tuning came to: the decision with its reason, every home's score, the forecast, the gates, the loss curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from html import escape

from knowhow.lessons.lint import LintReport
from knowhow.report import Section, Series, Table, lines, page
from knowhow.report import to_html as table_html
from knowhow.report import to_markdown as table_markdown
from knowhow.tune.forecast import Expected, Needed
from knowhow.types import Adapter, Estimate, GateResult, Json, TrainPrice
from knowhow.types.plain import to_plain


class Decision(StrEnum):
    """What became of it."""

    PROMOTED = "promoted"
    PROMOTABLE = "promotable"
    """Every gate is passed; nobody asked for promotion yet."""
    REFUSED = "refused"
    PLANNED = "planned"
    """Only looked at: nothing was trained."""


class Refusal(StrEnum):
    """Why nothing was trained or promoted."""

    LINT = "lint"
    TOO_FEW = "too-few"
    KNOWLEDGE = "knowledge"
    """What fails is what the product does not know; that belongs in documents and retrieval."""
    NO_GAP = "no-gap"
    CHEAPER_HOME = "cheaper-home"
    GATES = "gates"
    PARITY = "parity"


@dataclass(frozen=True, slots=True)
class HomeScore:
    """One home's score on the target, and what it cost to ask."""

    name: str
    home: str
    split: str
    score: Estimate
    run: str
    latency_ms: float | None
    prompt_tokens: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """A learning curve: of what, its points by size, what is expected with more, and how many a goal needs."""

    of: str
    sizes: tuple[int, ...]
    errors: tuple[float, ...]
    """Mean at each size."""
    expected: tuple[Expected, ...]
    needed: Needed


@dataclass(frozen=True, slots=True)
class TuneReport:
    """One report for terminal, JSON, Markdown and HTML. What was not reached is empty."""

    suite: str
    lessons: str
    n: int
    target: str
    decision: Decision
    reason: str
    refusal: Refusal | None = None
    wins: str = ""
    """The home that does best on the proof."""
    lint: LintReport | None = None
    homes: tuple[HomeScore, ...] = ()
    outlook: Outlook | None = None
    price: TrainPrice | None = None
    adapter: Adapter | None = None
    gates: tuple[GateResult, ...] = ()
    notes: tuple[str, ...] = ()
    runs: Mapping[str, str] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """Whether the answer is no."""
        return self.decision is Decision.REFUSED

    def to_json(self) -> Json:
        """What `knowhow tune --json` prints; keys are only ever added."""
        adapter = self.adapter
        return {
            "suite": self.suite,
            "lessons": self.lessons,
            "n": self.n,
            "target": self.target,
            "decision": self.decision.value,
            "refusal": self.refusal.value if self.refusal else None,
            "reason": self.reason,
            "wins": self.wins,
            "lint": self.lint.to_json() if self.lint else None,
            "homes": [to_plain(one) for one in self.homes],
            "forecast": to_plain(self.outlook) if self.outlook else None,
            "price": to_plain(self.price) if self.price else None,
            "adapter": adapter.id if adapter else None,
            "trained": to_plain(adapter.trained) if adapter else None,
            "parity": to_plain(adapter.parity) if adapter and adapter.parity else None,
            "gates": [to_plain(one) for one in self.gates],
            "notes": list(self.notes),
            "runs": dict(self.runs),
        }


def homes_table(report: TuneReport) -> Table:
    """Every home with its score and interval."""
    rows = [
        (one.name, one.split, _share(one.score), str(one.score.n), _ms(one.latency_ms), f"{one.prompt_tokens:.0f}")
        for one in report.homes
    ]
    columns = ("recipe", "split", report.target, "n", "p50", "prompt tokens")
    return Table(columns, rows, frozenset(columns[2:]))


def gates_table(report: TuneReport) -> Table:
    """Every gate with the numbers that decided."""
    return Table(("gate", "outcome", "why"), [(one.name, one.outcome.value, one.reason) for one in report.gates])


def lint_table(report: LintReport) -> Table:
    """Every finding, errors first."""
    return Table(
        ("fault", "weight", "finding"), [(one.fault.value, one.weight.value, one.message) for one in report.findings]
    )


def to_markdown(report: TuneReport) -> str:
    """The report for a pull request or a wiki."""
    parts = [f"# {_title(report)}\n", f"**{_said(report)}**\n"]
    if report.homes:
        parts += ["## Homes\n", table_markdown(homes_table(report))]
    if report.lint and report.lint.findings:
        parts += ["## Lessons\n", table_markdown(lint_table(report.lint))]
    parts += [f"{line}\n" for line in _told(report)]
    if report.gates:
        parts += ["## Gates\n", table_markdown(gates_table(report))]
    parts += [f"> {note}\n" for note in report.notes]
    return "\n".join(parts)


def to_page(report: TuneReport) -> str:
    """One self-contained page with the loss and the learning curve."""
    sections = []
    if report.homes:
        sections.append(Section("Homes", table_html(homes_table(report)), "Mean score, 95% interval in brackets."))
    if report.gates:
        sections.append(Section("Gates", table_html(gates_table(report))))
    if report.adapter and report.adapter.trained.losses:
        sections.append(Section("Training", _losses(report.adapter)))
    if report.outlook:
        sections.append(Section("More lessons", _curve(report.outlook), report.outlook.needed.reason))
    if report.lint and report.lint.findings:
        sections.append(Section("Lessons", table_html(lint_table(report.lint))))
    told = "".join(f"<p>{escape(line)}</p>" for line in (*_told(report), *report.notes))
    sections.append(Section("Remarks", told))
    return page(_title(report), sections, summary=_said(report))


def _title(report: TuneReport) -> str:
    return f"Tuning {report.target} of {report.suite or report.lessons}"


def _said(report: TuneReport) -> str:
    why = f" ({report.refusal})" if report.refusal else ""
    return f"{report.decision.capitalize()}{why}: {report.reason}"


def _told(report: TuneReport) -> list[str]:
    told = [f"{report.n} lessons ({report.lessons})."]
    if report.outlook:
        told.append(f"Learning curve of {report.outlook.of}: {report.outlook.needed.reason}.")
    if report.price:
        told.append(f"Training: {report.price.in_words}.")
    if report.adapter:
        trained = report.adapter.trained
        told.append(
            f"Adapter {report.adapter.id}: step {trained.step} of {trained.steps} ({trained.stopped}), "
            f"{trained.counted.rows} rows, {trained.trained_tokens} target tokens in {trained.seconds:.0f} s."
        )
    return told


def _losses(adapter: Adapter) -> str:
    trained = adapter.trained
    series = [Series("training", list(trained.losses))]
    if trained.validation_losses:
        series.append(Series("validation", list(trained.validation_losses)))
    return lines("Loss by step", series, x_label="step", y_label="loss per target token")


def _curve(outlook: Outlook) -> str:
    measured = Series("measured", list(zip(outlook.sizes, outlook.errors, strict=True)))
    points = [(one.n, one.error) for one in outlook.expected]
    band = [(float(one.n), one.low, one.high) for one in outlook.expected]
    return lines("Error by lessons", [measured, Series("expected", points, band)], x_label="lessons", y_label="error")


def _share(score: Estimate) -> str:
    if score.mean is None:
        return f"- ({score.reason})"
    if score.low is None or score.high is None:
        return f"{100 * score.mean:.1f}%"
    return f"{100 * score.mean:.1f}% ({100 * score.low:.0f} to {100 * score.high:.0f})"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} ms"
