"""Which access tags a document carries: those of its source, of rules by path, and of the document itself."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from knowhow.errors import ReadProblem, UnreadableFile, UsageProblem
from knowhow.types import EVERYTHING, MetaValue

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_TAG = re.compile(r"[^\W_][\w.:@/-]{0,63}")
_OWN_KEY = "access"
_MAX_OWN = 1000
"""Readers cut metadata here: of a longer list some tags may be missing."""
_UNPARSED = re.compile(
    r"\s*(?P<fence>---|\+\+\+)[ \t]*\n(?:(?!(?P=fence))[^\n]*\n){0,400}?(?P<line>\s*[\"']?access[\"']?\s*[:=][^\n]*)",
    re.I,
)
"""Front matter that a reader left in the text because it does not parse, with a line that names tags."""


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Path patterns with the tags they add. `text` is the TOML they were read from, "" for no rules."""

    text: str
    patterns: tuple[tuple[str, GitIgnoreSpec, frozenset[str]], ...] = ()

    def tags(self, path: str) -> frozenset[str]:
        """Tags of every pattern that matches `path` (relative to the source's root, POSIX style)."""
        folded = _fold(path)
        return frozenset().union(*(tags for _, spec, tags in self.patterns if spec.match_file(folded)))

    def unmatched(self, paths: Iterable[str]) -> list[str]:
        """Patterns that match none of `paths`: harmless for a folder still to come, or a typing error."""
        open_patterns = list(self.patterns)
        for path in paths:
            if not open_patterns:
                break
            folded = _fold(path)
            open_patterns = [item for item in open_patterns if not item[1].match_file(folded)]
        return [pattern for pattern, _, _ in open_patterns]


@dataclass(frozen=True, slots=True)
class Tagging:
    """How the documents of one source get their tags; `base` None leaves each the ones it has."""

    base: frozenset[str] | None
    rules: AccessRules
    prefix: str = ""

    def tags(self, uri: str, before: frozenset[str]) -> frozenset[str]:
        """Tags of the source and of the rules for its path; `before` are the ones the document has now."""
        base = before if self.base is None else self.base
        return base | self.rules.tags(uri.removeprefix(self.prefix))


def check_tags(tags: Iterable[str], where: str) -> frozenset[str]:
    """The tags as a set; raises `UsageProblem` naming `where` for one that no document may carry."""
    for tag in tags:
        if not isinstance(tag, str) or not _TAG.fullmatch(tag):
            reason = "opens everything and is for askers" if tag == EVERYTHING else "is not a tag"
            raise UsageProblem(
                f"{where}: {tag!r} {reason}; a document's tags are letters, digits and . : @ / - _, at most 64 of them"
            )
    return frozenset(tags)


def parse_rules(text: str, where: str = "access rules") -> AccessRules:
    """Rules from TOML lines `"pattern" = ["tag", …]`; patterns are those of .gitignore, regardless of case.

    Raises `UsageProblem` for anything else, so that a misread rule never opens a document.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageProblem(f'{where}: {error}; a rule is a line like "hr/**" = ["hr"]') from error
    return AccessRules(text, tuple(_rule(pattern, tags, where) for pattern, tags in table.items()))


def load_rules(path: Path) -> AccessRules:
    """Rules from a file; raises `UsageProblem` where it cannot be read or understood."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"cannot read the access rules {path}: {error}; nothing was ingested") from error
    return parse_rules(text, str(path))


def own_tags(metadata: Mapping[str, MetaValue], text: str = "") -> frozenset[str]:
    """Tags a document asks for itself (`access: hr, legal` in its front matter).

    Raises `UnreadableFile` for a value that is no list of tags, and for front matter that could not be parsed and
    seems to name some: better not shown than shown to everyone.
    """
    tags: set[str] = set()
    for key, value in metadata.items():
        name = key.strip().lower()
        if name.startswith(f"{_OWN_KEY}."):
            raise _no_list(f"{key}: {value}")
        if name != _OWN_KEY:
            continue
        words = [word.strip(" \t\n\"'") for word in re.split(r"[,;]", str(value).strip().strip("[]"))]
        cut_short = len(str(value)) >= _MAX_OWN
        if isinstance(value, bool | float) or cut_short or not all(_TAG.fullmatch(word) for word in words):
            raise _no_list(f"access: {value}")
        tags.update(words)
    if not tags and (match := _UNPARSED.match(text)):
        raise _no_list(match["line"])
    return frozenset(tags)


def _no_list(line: str) -> UnreadableFile:
    detail = f"{line[:80]!r} in the document is no list of tags; write one line like access: hr, legal"
    return UnreadableFile(ReadProblem.ACCESS, detail)


def _rule(pattern: str, tags: object, where: str) -> tuple[str, GitIgnoreSpec, frozenset[str]]:
    from pathspec import GitIgnoreSpec  # here, since importing it takes longer than the rest of this folder

    if not isinstance(tags, list) or not tags:
        raise UsageProblem(f'{where}: "{pattern}" needs a list of tags, like ["hr"], not {tags!r}')
    checked = check_tags(tags, f'{where}, "{pattern}"')
    if not pattern.strip() or pattern.startswith(("!", "#")):
        raise UsageProblem(f'{where}: "{pattern}" is no pattern (rules only add tags; there are no exceptions)')
    try:
        spec = GitIgnoreSpec.from_lines([_fold(pattern)])
    except ValueError as error:
        raise UsageProblem(f'{where}: "{pattern}" is no pattern: {error}') from error
    if not any(part.include is not None for part in spec.patterns):
        raise UsageProblem(f'{where}: "{pattern}" can match nothing; patterns are those of .gitignore')
    return pattern, spec, checked


def _fold(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()
