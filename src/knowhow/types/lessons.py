"""Lessons, how they are trained, and what came of it: rows counted, events, adapters, and their proofs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from knowhow.types.answers import Recipe
from knowhow.types.chat import Message
from knowhow.types.core import Json, fingerprint
from knowhow.types.documents import Range
from knowhow.types.suites import Expect, Split


class Origin(StrEnum):
    """Where a lesson came from."""

    FILE = "file"
    SUITE = "suite"
    CORRECTION = "correction"
    """A person wrote what the answer should have been."""
    THUMB = "thumb"
    """A person liked or disliked an answer as it was."""
    MADE = "made"
    """Built from others, such as a grounding lesson with distractors."""


class Mark(StrEnum):
    """Whether a lesson's target is a reply to give or one to avoid."""

    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Lesson:
    """One thing to learn: what is asked, what the model is shown, and the reply it shall give.

    It is kept as a question, not as a prompt: `knowhow.lessons.prompts` makes of it exactly what `ask` would send.
    """

    id: str
    question: str
    """What is asked or worked on: the last turn of the user, without any wrapping."""
    target: str
    origin: Origin
    source: str
    """Where exactly: "FILE:LINE", the suite and example, or the trace."""
    system: str = ""
    """Instructions of its own; empty = the recipe's."""
    history: tuple[Message, ...] = ()
    """Earlier turns of user and assistant."""
    context: tuple[Range, ...] = ()
    """What is shown, best first, by id: evidence and distractors."""
    attached: str = ""
    """Text that comes with the question, as `Example.context`."""
    expect: Expect = field(default_factory=Expect)
    """The form that is asked for (labels, schema, lengths), which a recipe may tell the model."""
    rejected: str = ""
    """A worse reply to the same prompt, for training on preferences."""
    mark: Mark = Mark.GOOD
    split: Split = Split.TRAIN
    group: str = ""
    access: frozenset[str] = frozenset()
    """Tags whoever asked held; the context is read with them."""
    uris: frozenset[str] = frozenset()
    """Documents it quotes, so that a purge finds it."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """Lessons under a name, with remarks on where they came from."""

    name: str
    lessons: tuple[Lesson, ...]
    notes: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """12 hex digits over the lessons in their order; the name does not count."""
        return fingerprint(list(self.lessons), 12)


# --- training ---------------------------------------------------------------------------------------------


class Method(StrEnum):
    """What is learned from: replies to give, pairs of better and worse, or replies marked good and bad."""

    SFT = "sft"
    DPO = "dpo"
    KTO = "kto"


class Device(StrEnum):
    """Where the sums are done. `AUTO` takes a GPU that can be used, else the CPU."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Precision(StrEnum):
    """Numbers of the frozen base model; an adapter's own are always float32. `AUTO` is bfloat16 on a GPU that has it,
    else float32."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True, slots=True)
class TrainRow:
    """One lesson as the trainer takes it: the whole prompt and the reply. `id` is the lesson's."""

    id: str
    prompt: tuple[Message, ...]
    target: str
    rejected: str = ""
    mark: Mark = Mark.GOOD


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """Everything that can change the trained weights, apart from the rows."""

    base: str = "local:starter"
    """A model in this process (`local:…`, GGUF) or a folder in the format of transformers (`hf:FOLDER`)."""
    method: Method = Method.SFT
    rank: int = 16
    alpha: float = 32.0
    """The adapter is added with the factor alpha / rank, or alpha / √rank with `rslora`."""
    rslora: bool = False
    dropout: float = 0.0
    epochs: float = 3.0
    max_steps: int = 0
    """Stops there even before the epochs are over; 0 = no limit."""
    batch: int = 8
    """Rows of one step."""
    at_once: int = 4
    """Rows computed together; the rest of a batch is summed up. Lower needs less memory."""
    learning_rate: float = 3e-4
    warmup: float = 0.05
    """Share of the steps in which the rate rises; it then falls to 0 along a cosine."""
    beta: float = 0.1
    """DPO and KTO: how close to the base the preferences are learned."""
    max_tokens: int = 1024
    """Longest row in tokens, prompt and reply; a longer one is left out whole and named, never cut."""
    evaluate_every: int = 0
    """Steps between two looks at the validation rows, and between two checkpoints; 0 = ten in a training."""
    patience: int = 3
    """Looks without a lower validation loss after which training stops; 0 = never."""
    seed: int = 0
    threads: int = 0
    """CPU threads; 0 = one per core. Part of the plan, since sums in another order give other last digits."""
    device: Device = Device.AUTO
    precision: Precision = Precision.AUTO


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that is not trained on, with its reason and how many target tokens are lost with it."""

    id: str
    reason: str
    target_tokens: int


@dataclass(frozen=True, slots=True)
class Counted:
    """Rows and tokens in and out of the tokenizer. `rows_in == rows + len(left_out)`, and so for target tokens."""

    rows_in: int
    rows: int
    target_tokens_in: int
    target_tokens: int
    """Tokens the loss is taken over in one epoch."""
    prompt_tokens: int
    longest: int
    """Tokens of the longest row that is trained on."""
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainPrice:
    """What a training will take, measured on a few steps of it."""

    device: Device
    precision: Precision
    threads: int
    steps: int
    seconds: float
    memory_bytes: int
    """Highest memory of the training process (on a GPU: of the device) with the longest rows."""
    tokens_per_s: float
    measured_steps: int
    counted: Counted
    validation: Counted | None = None

    @property
    def in_words(self) -> str:
        """E.g. "about 6 min and 1.9 GB on the CPU (2 threads, float32): 120 steps"."""
        minutes = f"{self.seconds / 60:.0f} min" if self.seconds >= 90 else f"{self.seconds:.0f} s"
        where = f"the CPU ({self.threads} threads, {self.precision})" if self.device is Device.CPU else "the GPU"
        where += f" ({self.precision})" if self.device is not Device.CPU else ""
        return f"about {minutes} and {self.memory_bytes / 1e9:.1f} GB on {where}: {self.steps} steps"


@dataclass(frozen=True, slots=True)
class Began:
    """Training starts, or goes on after step `resumed_from` of an earlier attempt."""

    device: Device
    precision: Precision
    threads: int
    steps: int
    counted: Counted
    validation: Counted | None
    resumed_from: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One or a few steps were taken; `loss` is their mean."""

    step: int
    steps: int
    epoch: float
    loss: float
    learning_rate: float
    tokens_per_s: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Validated:
    """The validation rows were looked at: mean loss per target token (SFT), or of the preferences."""

    step: int
    loss: float
    best: bool


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint is whole on the disk; `folder` holds its adapter in PEFT's format."""

    step: int
    folder: str


TrainEvent = Began | Step | Validated | Saved


class Stopped(StrEnum):
    """Why a training ended."""

    DONE = "done"
    EARLY = "early"
    """The validation loss fell no further."""
    CHOSEN = "chosen"
    """The caller took an earlier checkpoint."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training. `folder` holds the adapter in PEFT's format, taken from step `step`."""

    folder: str
    step: int
    steps: int
    stopped: Stopped
    loss: float
    validation_loss: float | None
    counted: Counted
    validation: Counted | None
    trained_tokens: int
    """Target tokens over all epochs."""
    seconds: float
    """Time spent training, over all attempts."""
    device: Device
    precision: Precision
    threads: int
    base_hash: str
    """16 hex digits over the base model's file."""
    versions: Mapping[str, str]
    """Of torch, transformers, peft and trl."""
    losses: tuple[tuple[int, float], ...] = ()
    """(step, training loss)."""
    validation_losses: tuple[tuple[int, float], ...] = ()


# --- adapters ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ParityReport:
    """Whether llama.cpp says the same as the training stack with this adapter, both in `precision`.

    `agreement` is the share of positions with the same likeliest next token, `kl` the mean divergence of llama.cpp's
    next-token distribution from the training stack's, in nats. `adapter_agreement` says how often the adapter keeps
    the base model's likeliest token: an adapter that changes nothing would prove nothing.
    """

    positions: int
    agreement: float
    kl: float
    precision: Precision
    adapter_agreement: float
    least_agreement: float = 0.97
    most_kl: float = 0.01

    @property
    def passed(self) -> bool:
        """Whether both bounds hold."""
        return self.agreement >= self.least_agreement and self.kl <= self.most_kl


class GateOutcome(StrEnum):
    """How one gate before promotion came out."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    """The data cannot tell; this refuses as well, and says how many more examples would."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate: what was held against what, and the numbers it was decided by."""

    name: str
    outcome: GateOutcome
    reason: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    needed: int = 0
    """Examples that would decide it, where it is inconclusive."""


@dataclass(frozen=True, slots=True)
class AdapterReport:
    """Before and after: what the gates said. Without gates nothing was measured, and promotion needs `force`."""

    gates: tuple[GateResult, ...] = ()
    runs: Mapping[str, str] = field(default_factory=dict)
    """Recipe → id of the run the gates read."""
    summary: str = ""

    @property
    def passed(self) -> bool:
        """Whether there are gates and every one is passed."""
        return bool(self.gates) and all(gate.outcome is GateOutcome.PASS for gate in self.gates)


@dataclass(frozen=True, slots=True)
class Adapter:
    """Trained behaviour, named by the hash of its weights. The weights are files in `folder`."""

    id: str
    """16 hex digits over weights, factors and base; equal training gives an equal id."""
    base: str
    """The model it belongs to, as recipes name it."""
    base_hash: str
    recipe: Recipe
    """What the lessons were asked with; the adapter is at home in prompts of this recipe."""
    plan: TrainPlan
    lessons: str
    """Name of the lessons."""
    lessons_hash: str
    taught: frozenset[str]
    """Fingerprints of the questions it was trained on (`knowhow.tune.registry.taught_as`)."""
    trained: Trained
    folder: str
    made: float
    """UTC seconds."""
    report: AdapterReport = field(default_factory=AdapterReport)
    parity: ParityReport | None = None
    origin: Json = field(default_factory=dict)
    """How many lessons came from where."""


class Standing(StrEnum):
    """What an adapter is in a slot."""

    CURRENT = "current"
    PREVIOUS = "previous"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Slot:
    """The adapter that answers under a name with one base model, and the one before it.

    A recipe with `adapter = NAME` uses `current`. Either may be empty: the bare model.
    """

    name: str
    model: str
    current: str
    previous: str
    changed: float
    """UTC seconds."""
    by: str = ""
    """"promote" or "rollback"."""
