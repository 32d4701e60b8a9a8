"""Lint: everything that is wrong with lessons, found before a training is paid for, with the rows it is in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from knowhow.lessons.near import Near, Texts, across, plain, within
from knowhow.lessons.personal import personal
from knowhow.lessons.volatile import Facts
from knowhow.ports import Embedder, Store
from knowhow.types import Example, Json, LeftOut, Lesson, Lessons, Mark, SuiteProblem

FEW = 50
"""Lessons below which training is refused, unless a forecast shows that they suffice."""
ENOUGH = 500
"""Lessons below which more are advised."""
_NAMED = 20
"""Rows that a message names; the report holds them all."""


class Fault(StrEnum):
    """What can be wrong with lessons."""

    BROKEN = "broken"
    """A line that is no lesson."""
    FEW = "too-few"
    DUPLICATE = "duplicate"
    NEAR = "near-duplicate"
    IN_TEST = "in-test"
    """The question is one the adapter is to be proved on."""
    NEAR_TEST = "near-test"
    CONTRADICTION = "contradiction"
    """One question, two answers."""
    PERSONAL = "personal-data"
    LEFT_OUT = "left-out"
    """Too long, no token to learn, or a context that is gone: it would not be trained on."""
    FACT = "volatile-fact"
    """A fact of the documents that the lesson does not show: it belongs in retrieval, since it will change."""
    KNOWN = "already-passes"
    """The base model does it right without training."""


class Weight(StrEnum):
    """Whether a finding stops the training."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of fault in some rows. `rows` count lessons from 1; `where` says where each is, e.g. "chat.jsonl:12"."""

    fault: Fault
    weight: Weight
    message: str
    rows: tuple[int, ...] = ()
    where: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LintReport:
    """Every finding on lessons, errors first."""

    name: str
    n: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    """What was not looked for, and why."""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings that stop a training."""
        return tuple(one for one in self.findings if one.weight is Weight.ERROR)

    @property
    def faulty(self) -> frozenset[int]:
        """Rows with an error of their own, counted from 1; without them the other findings stand."""
        return frozenset(row for one in self.errors for row in one.rows)

    def to_json(self) -> Json:
        """The report as `lessons lint --json` prints it."""
        return {
            "lessons": self.name,
            "n": self.n,
            "errors": len(self.errors),
            "findings": [
                {
                    "fault": one.fault.value,
                    "weight": one.weight.value,
                    "message": one.message,
                    "rows": list(one.rows),
                    "where": list(one.where),
                }
                for one in self.findings
            ],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Beside:
    """What lessons are held against. What is None was not looked at, and the report says so."""

    problems: Sequence[SuiteProblem] = ()
    """Lines of the file that are no lessons."""
    test: Sequence[Example] | None = None
    """Examples that the adapter is to be proved on."""
    store: Store | None = None
    left_out: Sequence[LeftOut] | None = None
    """Lessons that the tokenizer or a lost context leaves out."""
    known: frozenset[str] | None = None
    """Ids of lessons that the base model does right already."""


def lint(lessons: Lessons, embedder: Embedder, beside: Beside) -> LintReport:
    """Looks for every fault, without asking a model. Findings are in order of weight and fault."""
    all_of = lessons.lessons
    texts = Texts([_asked(lesson) for lesson in all_of], embedder)
    found = [
        *_broken(beside.problems),
        *_few(all_of),
        *_repeated(all_of, list(within(texts))),
        *(_proved(all_of, texts, beside.test, embedder) if beside.test is not None else ()),
        *_personal(all_of),
        *(_left_out(all_of, beside.left_out) if beside.left_out is not None else ()),
        *(_facts(all_of, beside.store, embedder) if beside.store is not None else ()),
        *(_known(all_of, beside.known) if beside.known is not None else ()),
    ]
    order = {fault: place for place, fault in enumerate(Fault)}
    found.sort(key=lambda one: (one.weight is Weight.WARNING, order[one.fault]))
    return LintReport(lessons.name, len(all_of), tuple(found), (*lessons.notes, *_unseen(beside)))


def _unseen(beside: Beside) -> Iterator[str]:
    if beside.test is None:
        yield "not held against examples of a test split; name them with --against SUITE"
    if beside.store is None:
        yield "not held against documents: nothing is ingested"
    if beside.left_out is None:
        yield "tokens were not counted, so rows that are too long are not named"
    if beside.known is None:
        yield "the base model was not asked which lessons it does right already; --ask-base does"


def _asked(lesson: Lesson) -> str:
    """What makes two lessons the same question: the last turns and what comes with it."""
    return "\n".join([*(turn.content for turn in lesson.history[-2:]), lesson.attached, lesson.question])


def _broken(problems: Sequence[SuiteProblem]) -> Iterator[Finding]:
    if problems:
        listed = "; ".join(str(problem) for problem in problems[:_NAMED])
        more = f"; and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
        where = tuple(str(problem) for problem in problems)
        yield Finding(
            Fault.BROKEN, Weight.ERROR, f"{_count(len(problems), 'line')} cannot be read: {listed}{more}", where=where
        )


def _few(lessons: Sequence[Lesson]) -> Iterator[Finding]:
    n = len({plain(_asked(lesson)) for lesson in lessons})
    if n < FEW:
        yield Finding(Fault.FEW, Weight.ERROR, f"{_count(n, 'different lesson')}; at least {FEW} are needed")
    elif n < ENOUGH:
        yield Finding(Fault.FEW, Weight.WARNING, f"{n} different lessons; {ENOUGH} and more are advised")


def _repeated(lessons: Sequence[Lesson], near: Sequence[Near]) -> Iterator[Finding]:
    """Pairs within the lessons: the later row of a repetition, and both rows of a contradiction."""
    twice: set[int] = set()
    like: set[int] = set()
    exact: set[int] = set()
    contrary: set[int] = set()
    for pair in near:
        same = _same_reply(lessons[pair.left], lessons[pair.right])
        if same and pair.exact:
            twice.add(pair.right)
        elif same:
            like.add(pair.right)
        elif pair.exact and _shown(lessons[pair.left]) == _shown(lessons[pair.right]):
            exact |= {pair.left, pair.right}
        elif _labels(lessons[pair.left], lessons[pair.right]):
            contrary |= {pair.left, pair.right}
    yield from _rows(Fault.DUPLICATE, Weight.WARNING, twice, lessons, "say what an earlier row says already")
    yield from _rows(Fault.NEAR, Weight.WARNING, like - twice, lessons, "say nearly what another row says")
    yield from _rows(
        Fault.CONTRADICTION, Weight.ERROR, exact, lessons, "ask the same as another row and give another reply"
    )
    yield from _rows(
        Fault.CONTRADICTION,
        Weight.WARNING,
        contrary - exact,
        lessons,
        "ask nearly the same as a row with another label",
    )


def _same_reply(one: Lesson, other: Lesson) -> bool:
    return (plain(one.target), one.mark, plain(one.rejected)) == (
        plain(other.target),
        other.mark,
        plain(other.rejected),
    )


def _shown(lesson: Lesson) -> tuple[object, ...]:
    """What else could make two replies to one question right."""
    return lesson.system, lesson.context, lesson.mark, bool(lesson.rejected)


def _labels(one: Lesson, other: Lesson) -> bool:
    """Whether both replies are labels of one set; free text may be worded in two ways."""
    return one.mark is other.mark is Mark.GOOD and bool(one.expect.label) and bool(other.expect.label)


def _proved(lessons: Sequence[Lesson], texts: Texts, test: Sequence[Example], embedder: Embedder) -> Iterator[Finding]:
    others = Texts([_tested(example) for example in test], embedder)
    found = list(across(texts, others))
    exact = {near.left for near in found if near.exact}
    yield from _rows(Fault.IN_TEST, Weight.ERROR, exact, lessons, "ask what the test split asks")
    like = {near.left for near in found} - exact
    yield from _rows(Fault.NEAR_TEST, Weight.WARNING, like, lessons, "ask nearly what the test split asks")
    contrary = {near.left for near in found if _other_label(lessons[near.left], test[near.right])}
    message = "have another label than the example of the test split they are like"
    yield from _rows(Fault.CONTRADICTION, Weight.WARNING, contrary, lessons, message)


def _tested(example: Example) -> str:
    turns = [turn.content for turn in example.messages[:-1] if turn.role != "system"][-2:]
    return "\n".join([*turns, example.context, example.asked])


def _other_label(lesson: Lesson, example: Example) -> bool:
    label = example.expect.label
    return label is not None and bool(lesson.expect.label) and label != lesson.expect.label


def _personal(lessons: Sequence[Lesson]) -> Iterator[Finding]:
    """In a reply it is an error, since the model is taught to say it; elsewhere a warning."""
    said: dict[str, set[int]] = defaultdict(set)
    read: dict[str, set[int]] = defaultdict(set)
    for place, lesson in enumerate(lessons):
        for kind in personal(lesson.target):
            said[kind].add(place)
        given = "\n".join([lesson.question, lesson.attached, lesson.system, *(t.content for t in lesson.history)])
        for kind in personal(given):
            read[kind].add(place)
    for kind, places in said.items():
        yield from _rows(Fault.PERSONAL, Weight.ERROR, places, lessons, f"teach the model to say {kind}")
    for kind, places in read.items():
        yield from _rows(Fault.PERSONAL, Weight.WARNING, places, lessons, f"hold {kind} in what is asked")


def _left_out(lessons: Sequence[Lesson], left_out: Sequence[LeftOut]) -> Iterator[Finding]:
    place = {lesson.id: at for at, lesson in enumerate(lessons)}
    reasons: dict[str, set[int]] = defaultdict(set)
    for one in left_out:
        reasons[one.reason].add(place[one.id])
    for reason, places in reasons.items():
        whole = len(places) == len(lessons)
        yield from _rows(
            Fault.LEFT_OUT,
            Weight.ERROR if whole else Weight.WARNING,
            places,
            lessons,
            f"would not be trained on ({reason})",
        )


def _facts(lessons: Sequence[Lesson], store: Store, embedder: Embedder) -> Iterator[Finding]:
    leaks = list(Facts(lessons, store, embedder).leaks())
    told = "; ".join(f'{lessons[leak.lesson].source}: "{leak.fact[:60]}" ({leak.uri})' for leak in leaks[:3])
    message = (
        f"teach facts of the documents that they do not show; facts change, so leave them to retrieval (e.g. {told})"
    )
    yield from _rows(Fault.FACT, Weight.ERROR, {leak.lesson for leak in leaks}, lessons, message)


def _known(lessons: Sequence[Lesson], known: frozenset[str]) -> Iterator[Finding]:
    places = {at for at, lesson in enumerate(lessons) if lesson.id in known}
    yield from _rows(Fault.KNOWN, Weight.WARNING, places, lessons, "are done right by the base model already")


def _rows(fault: Fault, weight: Weight, places: set[int], lessons: Sequence[Lesson], message: str) -> Iterator[Finding]:
    """One finding for the rows at `places`, if there are any."""
    if not places:
        return
    rows = tuple(sorted(places))
    named = ", ".join(str(row + 1) for row in rows[:_NAMED])
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    text = f"{_count(len(rows), 'row')} {message}: {named}{more}"
    yield Finding(fault, weight, text, tuple(row + 1 for row in rows), tuple(lessons[row].source for row in rows))


def _count(n: int, one: str) -> str:
    return f"{n} {one}" if n == 1 else f"{n} {one}s"
