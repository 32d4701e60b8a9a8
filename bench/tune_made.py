"""Two houses' own rules as suites, made by rule with a part of the rules held out: code review, and refunds.

    python bench/tune_made.py --to /some/folder      # a workspace; adds suites/review.jsonl and suites/refunds.jsonl

Review: does this snippet follow this rule? Nine rules are learnt, three are only in the proof. Refunds: a decision tree
over days, state and kind of goods; the branches of one kind of goods are only in the proof.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass
from pathlib import Path

from knowhow.suites import write_suite
from knowhow.types import Condition, Example, Expect, Reasoning, Rule, Split, Suite
from knowhow.workspace import Workspace

NAMES = "order parcel repair invoice customer warranty device battery ticket loan refund label stock shelf van".split()
VERBS = "load check count price book print send close open scan weigh pack".split()
VERDICTS = ("breaks", "follows")
RECIPES = """
[recipes.review]
extends = "prompt"
form = "free"
instructions = "Does the code follow the rule?"
sampling = {max_tokens = 8}

[recipes.refund]
extends = "prompt"
form = "free"
instructions = "Decide what the customer gets."
sampling = {max_tokens = 12}
"""


@dataclass(frozen=True, slots=True)
class CodeRule:
    """A rule of the house with templates that follow and break it; `{v}` is a verb, `{a}` and `{b}` are nouns."""

    text: str
    good: tuple[str, ...]
    bad: tuple[str, ...]
    held_out: bool = False


RULES = (
    CodeRule(
        "Never print; use the log.",
        ("log.info('{a} %s', {b})", "def {v}({a}):\n    log.debug({a})\n    return {a}"),
        ("print('{a}', {b})", "def {v}({a}):\n    print({a})\n    return {a}"),
    ),
    CodeRule(
        "Money is Decimal, never float.",
        ("{a}_price = Decimal('19.90')", "def {v}_price({a}):\n    return Decimal({a}.net)"),
        ("{a}_price = 19.90", "def {v}_price({a}):\n    return float({a}.net)"),
    ),
    CodeRule(
        "Times are always UTC.",
        ("{a}.at = datetime.now(UTC)", "{v}_at = datetime.fromtimestamp({a}, UTC)"),
        ("{a}.at = datetime.now()", "{v}_at = datetime.fromtimestamp({a})"),
    ),
    CodeRule(
        "Never catch every exception.",
        (
            "try:\n    {v}({a})\nexcept KeyError:\n    {b} = None",
            "try:\n    {v}({a})\nexcept OSError as error:\n    fail(error)",
        ),
        ("try:\n    {v}({a})\nexcept:\n    {b} = None", "try:\n    {v}({a})\nexcept Exception:\n    pass"),
    ),
    CodeRule(
        "Default arguments are never mutable.",
        ("def {v}({a}, {b}=None):\n    ...", "def {v}_{a}({b}=()):\n    ..."),
        ("def {v}({a}, {b}=[]):\n    ...", "def {v}_{a}({b}={{}}):\n    ..."),
    ),
    CodeRule(
        "SQL takes parameters, never pasted text.",
        ("db.run('select * from {a} where id = ?', [{b}])", "db.run('delete from {a} where {b} = ?', [key])"),
        ("db.run(f'select * from {a} where id = {{{b}}}')", "db.run('delete from {a} where {b} = ' + key)"),
    ),
    CodeRule(
        "Files are opened in a with block.",
        ("with open({a}_path) as {b}:\n    {v}({b})", "with {a}_path.open() as file:\n    {v}(file)"),
        ("{b} = open({a}_path)\n{v}({b})", "file = {a}_path.open()\n{v}(file)\nfile.close()"),
    ),
    CodeRule(
        "Every public function has a docstring.",
        (
            "def {v}_{a}({b}):\n    '''Says which {a} it is.'''\n    return {b}.{a}",
            "def {v}({a}):\n    '''The {b} of it.'''\n    return {a}.{b}",
        ),
        ("def {v}_{a}({b}):\n    return {b}.{a}", "def {v}({a}):\n    return {a}.{b}"),
    ),
    CodeRule(
        "Calls over the network have a timeout.",
        ("http.get({a}_url, timeout=5)", "{b} = http.post({a}_url, json={b}, timeout=10)"),
        ("http.get({a}_url)", "{b} = http.post({a}_url, json={b})"),
    ),
    CodeRule(
        "Keys are read from the environment, never written down.",
        ("{a}_key = os.environ['{a}_KEY']", "client = Client(key=os.environ['{b}_TOKEN'])"),
        ("{a}_key = 'sk-81hf92kx'", "client = Client(key='tok_4410aa')"),
        held_out=True,
    ),
    CodeRule(
        "Compare with None by `is`.",
        ("if {a} is None:\n    {v}({b})", "return {b} if {a} is not None else 0"),
        ("if {a} == None:\n    {v}({b})", "return {b} if {a} != None else 0"),
        held_out=True,
    ),
    CodeRule(
        "Never import everything from a module.",
        ("from {a}s import {v}_{b}", "import {a}s\n{a}s.{v}({b})"),
        ("from {a}s import *", "from {a}s import *\n{v}({b})"),
        held_out=True,
    ),
)


def review(train: int = 480, test: int = 300, seed: int = 0) -> Suite:
    """Half of the proof is of rules nobody learnt."""
    draw = random.Random(seed)
    examples: dict[str, Example] = {}
    while len(examples) < train + test:
        proof = len(examples) >= train
        rule = draw.choice([one for one in RULES if one.held_out is (proof and len(examples) % 2 == 0)])
        verdict = draw.choice(VERDICTS)
        a, b = draw.sample(NAMES, 2)
        code = draw.choice(rule.good if verdict == "follows" else rule.bad).format(v=draw.choice(VERBS), a=a, b=b)
        text = f"Rule: {rule.text}\nCode:\n{code}"
        if text in examples:
            continue
        number = len(examples)
        split = Split.TEST if proof else Split.DEV if number % 10 == 9 else Split.TRAIN
        tags = ("held-out",) if rule.held_out else ("learnt",)
        expect = Expect(label=verdict, labels=VERDICTS)
        examples[text] = Example(f"r{number}", expect, input=text, group=f"r{number}", split=split, tags=tags)
    return Suite("review", tuple(examples.values()))


DECISIONS = ("full refund", "exchange", "store credit", "repair", "nothing")
GOODS = ("laptop", "phone", "charger", "headset", "tablet", "monitor", "battery")
HELD_OUT = "battery"


def _branch(name: str, state: str, days: int, decision: str, *, above: bool = False) -> Rule:
    test = Condition("days", "above" if above else "at_most", days)
    return Rule(name, (Condition("state", "is", state), test), {"decision": decision})


TREE = (
    _branch("faulty and young", "faulty", 30, "full refund"),
    _branch("faulty in warranty", "faulty", 730, "repair"),
    _branch("opened too late", "opened", 14, "nothing", above=True),
    _branch("opened", "opened", 14, "exchange"),
    _branch("sealed and young", "sealed", 30, "full refund"),
    _branch("sealed, a little late", "sealed", 60, "store credit"),
    Rule("too late", (), {"decision": "nothing"}),
)
SAID = (
    "A customer brings back a {goods} {days} days after delivery. It is {state}.",
    "{days} days ago we delivered a {goods}; now it comes back {state}.",
    "Return of one {goods}, {state}, on day {days} after delivery.",
)


def refunds(train: int = 480, test: int = 300, seed: int = 0) -> Suite:
    """Cases of the tree; those of one kind of goods are only in the proof, as half of it."""
    draw = random.Random(seed)
    examples: dict[str, Example] = {}
    while len(examples) < train + test:
        proof = len(examples) >= train
        goods = HELD_OUT if proof and len(examples) % 2 == 0 else draw.choice([one for one in GOODS if one != HELD_OUT])
        days = draw.choice((draw.randint(1, 20), draw.randint(21, 90), draw.randint(91, 900)))
        given = {"goods": goods, "state": draw.choice(("faulty", "opened", "sealed")), "days": days}
        text = draw.choice(SAID).format(**given)
        if text in examples:
            continue
        number = len(examples)
        split = Split.TEST if proof else Split.DEV if number % 10 == 9 else Split.TRAIN
        table = Reasoning(given, TREE)
        label = str(_applied(table)["decision"])
        expect = Expect(label=label, labels=DECISIONS, reasoning=table)
        tags = ("held-out",) if goods == HELD_OUT else ("learnt",)
        examples[text] = Example(f"c{number}", expect, input=text, group=f"c{number}", split=split, tags=tags)
    return Suite("refunds", tuple(examples.values()))


def _applied(table: Reasoning) -> dict[str, object]:
    from knowhow.suites.rules import applying

    return dict(applying(table)[0].then)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", type=Path, required=True)
    to = parser.parse_args().to
    Workspace.init(to).close()
    (to / "suites").mkdir(exist_ok=True)
    for suite in (review(), refunds()):
        write_suite(suite.examples, to / "suites" / f"{suite.name}.jsonl")
    settings = to / "knowhow.toml"
    if "[recipes.review]" not in settings.read_text("utf-8"):
        settings.write_text(settings.read_text("utf-8") + RECIPES, "utf-8")


if __name__ == "__main__":
    main()
