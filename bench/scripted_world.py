"""A made company for proving diagnosis: products, documents, a suite and a scripted mind that fit one another.

Everything follows from the seed. Innocent oddities are part of it: outdated data sheets that are marked as such, facts
that stand in two documents, examples that name no evidence, products whose names are alike, facts known by heart, a
temperature above 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from knowhow.answer import prompt
from knowhow.backends.fake import FakeChat
from knowhow.backends.scripted import Mind, Scripted, Topic
from knowhow.evaluate.single import Setup
from knowhow.ports import Embedder, IndexedPassage, Put
from knowhow.store.records import SqliteRecords
from knowhow.store.sqlite import SqliteStore
from knowhow.types import (
    Condition,
    Context,
    Document,
    Evidence,
    Example,
    Expect,
    Form,
    IndexSpec,
    Reasoning,
    Recipe,
    Rule,
    Split,
    SplitSpec,
    Style,
    Suite,
    fingerprint,
)

_COLOURS = "sage green,slate grey,coral red,navy blue,sand beige,plum violet,pearl white,amber yellow".split(",")
_FIRMS = "Norvant,Kelbrook,Tessaro,Wendlin,Brixholm,Ostrava,Pellmar,Quistow,Harrand,Lindvik".split(",")
_FAMILIES = (
    "Velmor,Tarsol,Quendry,Pellix,Junaro,Brenta,Caldo,Dravik,Eskel,Fennar,Gostra,Hilvan,Istrel,Jarno,Kestrin,Lomar,"
    "Mirova,Nestel,Orbin,Pravo,Quilan,Rastor,Selvin,Torvik,Ulmar,Varsen,Wistra,Xandor,Yelmar,Zorin"
).split(",")
_TOPICS = (
    (Topic("warranty", ("warranty", "guarantee", "covered for"), r"\d+ months"),
     "How long is the warranty of the {e}?",
     ("The {e} comes with a warranty of {v}.", "Buyers of the {e} get a guarantee of {v}.",
      "Defects of the {e} are covered for {v}.")),
    (Topic("price", ("price", "costs", "sold for"), r"\d+ euros"),
     "What is the price of the {e}?",
     ("The {e} costs {v}.", "The list price of the {e} is {v}.", "In our shops the {e} is sold for {v}.")),
    (Topic("weight", ("weight", "weighs", "on the scales"), r"\d+ grams"),
     "What is the weight of the {e}?",
     ("The {e} weighs {v}.", "The weight of the {e} is {v}.", "The {e} brings {v} on the scales.")),
    (Topic("power", ("power", "draws", "rated at"), r"\d+ watts"),
     "What power does the {e} need?",
     ("The {e} draws {v}.", "The power of the {e} is {v}.", "The {e} is rated at {v}.")),
    (Topic("colour", ("colour", "finished in", "painted"), "|".join(_COLOURS)),
     "In which colour is the {e} sold?",
     ("The {e} is finished in {v}.", "The colour of the {e} is {v}.", "The {e} is painted {v}.")),
    (Topic("supplier", ("supplier", "supplied by", "bought from"), r"[A-Z][a-z]+ (?:AG|Ltd)"),
     "Who is the supplier of the {e}?",
     ("The {e} is supplied by {v}.", "The supplier of the {e} is {v}.", "Parts of the {e} are bought from {v}.")),
    (Topic("return window", ("return window", "sent back", "come back"), r"\d+ days"),
     "How long is the return window of the {e}?",
     ("The return window of the {e} is {v}.", "The {e} can be sent back within {v}.",
      "The {e} may come back to us for {v}.")),
)  # fmt: skip
_TOPIC_OF = {topic.name: (topic, question, says) for topic, question, says in _TOPICS}
_FILLER = (
    "It was designed in Malmö by a small team.", "Customers like its plain look.", "Spare parts are kept in stock.",
    "The box is made of recycled paper.", "A short manual lies in the box.", "It is tested before it leaves the plant.",
)  # fmt: skip
_LABELS = {
    "card_arrival": ("has not arrived", "still waiting", "in the post"),
    "refund_status": ("money back", "refund yet", "reimbursed"),
    "login_problem": ("cannot sign in", "password", "locked out"),
    "address_change": ("moved house", "new street", "relocated"),
    "double_charge": ("charged twice", "two payments", "billed again"),
    "broken_item": ("came damaged", "cracked", "stopped working"),
    "invoice_copy": ("tax receipt", "copy of the bill", "accounting needs"),
    "gift_voucher": ("gift code", "present card", "coupon"),
}
_OPENERS = ("Hi there,", "Good morning,", "Dear team,", "Hello,", "Please help:", "One question:")
_CLOSERS = ("Thanks.", "What can I do?", "Please look into it.", "This is urgent.", "Regards, Kim")
RULES = (
    "- if days is at most the return window and opened is no, then refund = full\n"
    "- if days is at most the return window and opened is yes, then refund = half\n"
    "- if days is above the return window, then refund = none"
)
_STYLE = 'Begin every answer with "Hello,". Write at most 20 words.'
_SCHEMA = {
    "type": "object",
    "properties": {"warranty_months": {"type": "integer"}, "price_euros": {"type": "integer"}},
    "required": ["warranty_months", "price_euros"],
    "additionalProperties": False,
}
_RAG = Recipe(model="scripted", relevance=0.0)
RECIPES = {
    "fact": _RAG,
    "style": replace(_RAG, name="styled", instructions=f"{prompt.INSTRUCTIONS}\n{_STYLE}", form=Form.TOLD),
    "json": replace(_RAG, name="record", form=Form.CONSTRAINED),
    "rules": replace(
        _RAG, name="refunds", instructions=f"{prompt.INSTRUCTIONS}\nRules for refunds:\n{RULES}", form=Form.TOLD
    ),
    "label": replace(_RAG, name="labels", context=Context.NONE, cite=False, form=Form.TOLD),
}
"""Task → the recipe under which it works."""


@dataclass(frozen=True, slots=True)
class World:
    """Documents as stored, the suite with the recipe of every example, and how to open models of its mind."""

    documents: tuple[Document, ...]
    suite: Suite
    recipes: dict[str, Recipe]
    """Example id → recipe."""
    mind: Mind

    def model(self, name: str = "scripted") -> FakeChat:
        """`scripted`, or its `scripted:weak` or `scripted:strong` relative."""
        minds = {
            "scripted": self.mind,
            "scripted:weak": replace(self.mind, noise=(0.55, 0.8), span=2, guesses=0.1, labels={}),
            "scripted:strong": replace(self.mind, noise=(0.01, 0.04), span=14, guesses=0.8, stubborn=frozenset()),
        }
        return FakeChat(Scripted(minds[name]), name=name)

    def setup(self, folder: Path, embedder: Embedder) -> Setup:
        """A real store in `folder` that holds the documents, with the scripted model."""
        folder.mkdir(parents=True, exist_ok=True)
        store = SqliteStore(folder / "knowhow.db")
        index = store.create_index(IndexSpec(SplitSpec(), embedder.name, embedder.dims))
        store.apply(index, [paragraphs(document, embedder) for document in self.documents])
        return Setup(store, SqliteRecords(folder / "state.db"), embedder, self.model())


def paragraphs(document: Document, embedder: Embedder) -> Put:
    """The document with a passage per paragraph."""
    texts = document.text.split("\n\n")
    leads = [f"{document.title}\n{text}" for text in texts]
    vectors = embedder.documents(leads)
    passages, at = [], 0
    for text, lead, vector in zip(texts, leads, vectors, strict=True):
        passages.append(IndexedPassage(at, at + len(text), document.title, fingerprint(lead), vector))
        at += len(text) + 2
    return Put(document, passages)


def make_world(seed: int, families: int = 30, size: int = 7) -> World:
    """`families` of products of about `size` members each, their documents, and a suite over all of them."""
    return _Maker(seed).world(families, size)


class _Maker:
    """Documents, examples and what the mind knows by heart, in the making."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = Random(f"world {seed}")
        self.documents: list[Document] = []
        self.examples: list[Example] = []
        self.recipes: dict[str, Recipe] = {}
        self.heart: dict[tuple[str, str], str] = {}

    def world(self, families: int, size: int) -> World:
        for family in self.dice.sample(_FAMILIES, families):
            codes = self.dice.sample([f"{letter}{n}" for letter in "XRM" for n in range(2, 9)], size)
            split = self.dice.choices((Split.TRAIN, Split.DEV, Split.TEST), (1, 4, 5))[0]
            listed = [line for code in codes for line in self._product(f"{family} {code}", split)]
            text = "\n\n".join([f"Catalogue of the {family} line.", *listed])
            self._document(f"catalogue/{family.lower()}.md", f"{family} catalogue", text, 1_750_000_000.0)
        for number in range(12 * families):
            self._ticket(number)
        stubborn = frozenset(key for key in sorted(self.heart) if self.dice.random() < 0.5)
        mind = Mind(tuple(topic for topic, _, _ in _TOPICS), _LABELS, RULES, self.heart, stubborn, seed=self.seed)
        return World(tuple(self.documents), Suite(f"made-{self.seed}", tuple(self.examples)), self.recipes, mind)

    def _product(self, thing: str, split: Split) -> list[str]:
        """One product: its document, perhaps an outdated one, its examples. Returns lines for the catalogue."""
        names = [topic.name for topic, _, _ in _TOPICS]
        missing = self.dice.choice(["weight", "power", "colour", "supplier"])
        values = {name: self._value(name) for name in names if name != missing}
        order = self.dice.sample(sorted(values), len(values))
        lines = {name: self._sentence(name, thing, values[name]) for name in order}
        paragraphs_ = [
            " ".join([*(lines[name] for name in order[i : i + 2]), self.dice.choice(_FILLER)]) for i in (0, 2, 4)
        ]
        uri = f"products/{thing.lower().replace(' ', '-')}.md"
        self._document(uri, thing, "\n\n".join(paragraphs_), 1_760_000_000.0)
        if self.dice.random() < 0.15:
            name = self.dice.choice(order)
            old = lines[name].replace(values[name], self._value(name))
            self._document(f"archive/{uri[9:-3]}-2021.md", f"{thing}, data sheet of 2021", old, 1_610_000_000.0)
        for name in order:
            if self.dice.random() < 0.15:
                self.heart[thing, name] = values[name]
        self._examples(thing, values, lines, uri, split, missing)
        twice = [name for name in order if self.dice.random() < 0.1]
        return [lines[name] for name in twice]

    def _examples(
        self, thing: str, values: dict[str, str], lines: dict[str, str], uri: str, split: Split, missing: str
    ) -> None:
        names = self.dice.sample([n for n in values if n != "return window"], 4)
        for task, name in (("fact", names[0]), ("fact", names[1]), ("fact", names[2]), ("style", names[3])):
            question = _TOPIC_OF[name][1].format(e=thing)
            said = f"Hello, the {name} of the {thing} is {values[name]}."
            expect = Expect(
                facts=((values[name],),),
                abstain=False,
                evidence=self._evidence(uri, lines[name]),
                style=Style(max_words=20, must_match=("^Hello,",)) if task == "style" else None,
                reference=said if task == "style" else said[7].upper() + said[8:],
            )
            self._example(f"{task} {name}", thing, task, question, expect, split)
        fields = {key: int("".join(filter(str.isdigit, values[key.split("_")[0]]))) for key in _SCHEMA["properties"]}
        evidence = (Evidence(uri, lines["warranty"]), Evidence(uri, lines["price"]))
        expect = Expect(fields=fields, schema=_SCHEMA, abstain=False, evidence=evidence)
        self._example(
            "json", thing, "json", f"Give the warranty and the price of the {thing} as a record.", expect, split
        )
        self._refund(thing, values["return window"], lines["return window"], uri, split)
        question = _TOPIC_OF[missing][1].format(e=thing)
        self._example(f"nowhere {missing}", thing, "fact", question, Expect(abstain=True), split)

    def _refund(self, thing: str, window: str, line: str, uri: str, split: Split) -> None:
        limit = int(window.split()[0])
        days = self.dice.randint(5, 60)
        opened = self.dice.choice(["no", "yes"])
        within, after = Condition("days", "at_most", limit), Condition("days", "above", limit)
        rules = (
            Rule("unopened in time", (within, Condition("opened", "is", "no")), {"refund": "full"}),
            Rule("opened in time", (within, Condition("opened", "is", "yes")), {"refund": "half"}),
            Rule("too late", (after,), {"refund": "none"}),
        )
        state = "unopened" if opened == "no" else "opened"
        right = "none" if days > limit else "full" if opened == "no" else "half"
        expect = Expect(
            facts=((window,),),
            abstain=False,
            evidence=self._evidence(uri, line),
            reasoning=Reasoning({"days": days, "opened": opened}, rules),
            reference=f"The return window of the {thing} is {window}. The refund is {right}.",
        )
        told = f"A customer returns the {thing} {state} after {days} days."
        question = f"{told} What is its return window, and which refund applies?"
        self._example("refund", thing, "rules", question, expect, split)

    def _ticket(self, number: int) -> None:
        label = self.dice.choice(sorted(_LABELS))
        opener, words, closer = (self.dice.choice(texts) for texts in (_OPENERS, _LABELS[label], _CLOSERS))
        words = f"{opener} case {number}: {words}. {closer}"
        split = self.dice.choices((Split.TRAIN, Split.DEV, Split.TEST), (1, 4, 5))[0]
        expect = Expect(label=label, labels=tuple(sorted(_LABELS)))
        example = Example(
            f"ticket-{number}", expect, input=words, group=f"ticket {number}", split=split, tags=("label",)
        )
        self.examples.append(example)
        self.recipes[example.id] = RECIPES["label"]

    def _example(self, name: str, thing: str, task: str, question: str, expect: Expect, split: Split) -> None:
        example = Example(f"{thing}: {name}", expect, question=question, group=thing, split=split, tags=(task,))
        self.examples.append(example)
        recipe = RECIPES[task]
        if self.dice.random() < 0.2:  # drawn freely, but not so that this mind errs more
            recipe = replace(recipe, sampling=replace(recipe.sampling, temperature=0.4))
        self.recipes[example.id] = recipe

    def _evidence(self, uri: str, line: str) -> tuple[Evidence, ...]:
        return () if self.dice.random() < 0.08 else (Evidence(uri, line),)

    def _document(self, uri: str, title: str, text: str, since: float) -> None:
        self.documents.append(Document(uri=uri, text=text, title=title, effective_at=since))

    def _sentence(self, name: str, thing: str, value: str) -> str:
        return self.dice.choice(_TOPIC_OF[name][2]).format(e=thing, v=value)

    def _value(self, name: str) -> str:
        d = self.dice
        made = {
            "warranty": f"{d.randint(2, 60)} months",
            "price": f"{d.randint(20, 950)} euros",
            "weight": f"{d.randint(150, 9800)} grams",
            "power": f"{d.randint(5, 2400)} watts",
            "colour": d.choice(_COLOURS),
            "supplier": f"{d.choice(_FIRMS)} {d.choice(['AG', 'Ltd'])}",
            "return window": f"{d.choice([10, 14, 20, 30, 45])} days",
        }
        return made[name]


def split_of(world: World, split: Split) -> Sequence[Example]:
    """The examples of one split."""
    return [example for example in world.suite.examples if example.split is split]
