"""How lessons are trained: the plan, its price, what happens meanwhile, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from knowhow.types.chat import Message
from knowhow.types.lessons import Mark


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
