"""The error tree: what went wrong, with the value, and what to do about it; one exit code per kind."""

from __future__ import annotations

from enum import StrEnum


class KnowhowError(Exception):
    """Root of every error Knowhow raises on purpose.

    `str(error)` is one clear line: what happened, with the value, and the command or change that mends it.
    `exit_code` is the CLI's exit status and `name` the machine name used in `--json` and problem+json.
    """

    exit_code = 1

    @property
    def name(self) -> str:
        """The class name in kebab-case, e.g. `not-found`."""
        words = type(self).__name__
        return "".join("-" + c.lower() if c.isupper() else c for c in words).lstrip("-")


class UsageProblem(KnowhowError):
    """The call itself is wrong: an unknown option, a missing folder, arguments that contradict each other."""

    exit_code = 2


class ConfigProblem(KnowhowError):
    """Configuration, a missing extra, or a workspace that cannot be opened (corrupt, newer, locked)."""

    exit_code = 3


class NotFound(KnowhowError):
    """A named thing (document, trace, recipe, run) does not exist or may not be seen by the asker."""

    exit_code = 4


class GateFailed(KnowhowError):
    """A quality gate was measured and not met."""

    exit_code = 5


class BudgetExceeded(KnowhowError):
    """Going on would spend more calls, tokens or money than allowed."""

    exit_code = 6


class ProviderKind(StrEnum):
    """Why a model or embedding provider failed."""

    UNREACHABLE = "unreachable"
    AUTH = "auth"
    RATE_LIMIT = "rate-limit"
    TIMEOUT = "timeout"
    CONTEXT_TOO_LONG = "context-too-long"
    UNKNOWN_MODEL = "unknown-model"
    BAD_REPLY = "bad-reply"
    REFUSED_OFFLINE = "refused-offline"


class ProviderProblem(KnowhowError):
    """A model, embedder or reranker could not be used; `kind` says why."""

    exit_code = 7

    def __init__(self, message: str, kind: ProviderKind) -> None:
        super().__init__(message)
        self.kind = kind


class PartlyDone(KnowhowError):
    """Some documents, examples or calls failed; each is a row with its reason, the rest is done."""

    exit_code = 8


class ReadProblem(StrEnum):
    """Why a file gives no text. The value is what `documents` and `ingest --json` show as `reason`."""

    EMPTY = "empty"
    ENCRYPTED = "encrypted-needs-password"
    DAMAGED = "damaged"
    NO_TEXT = "no-text-layer"
    UNSUPPORTED = "unsupported-format"
    LEGACY = "legacy-format"
    TOO_LARGE = "too-large"
    TIMED_OUT = "timed-out"
    OUT_OF_MEMORY = "out-of-memory"
    UNREADABLE = "unreadable"
    ACCESS = "invalid-access-tags"


class UnreadableFile(KnowhowError):
    """One file cannot be turned into text. It becomes a failed row, never a lost run.

    `reason` is the named cause and the message says what a person can do (e.g. which conversion to use).
    """

    exit_code = 8

    def __init__(self, reason: ReadProblem, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
