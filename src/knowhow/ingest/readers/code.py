"""Source code cut at its definitions: the symbol and the first line are the place."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from knowhow.ingest.readers.decode import decode
from knowhow.ingest.readers.draft import Draft
from knowhow.types import Extract

_NAMES = {
    "py": "python", "pyi": "python", "js": "javascript", "mjs": "javascript", "cjs": "javascript", "jsx": "javascript",
    "ts": "typescript", "tsx": "typescript", "rs": "rust", "rb": "ruby", "cs": "csharp", "h": "c", "cc": "c++",
    "cpp": "c++", "hpp": "c++", "sh": "shell", "bash": "shell", "zsh": "shell", "kt": "kotlin", "pl": "perl",
}  # fmt: skip
_MODIFIERS = (
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|pub(?:\([^)]*\))?|unsafe|const|"
    r"extern(?:\s+\"C\")?|override|virtual|inline|sealed|open|data|suspend|partial|declare|local)\s+)*"
)
_DEFINITION = re.compile(
    rf"^(?P<indent>[ \t]*){_MODIFIERS}(?:"
    r"(?:class|struct|enum|interface|trait|impl(?:<[^>]*>)?|module|namespace|object|protocol|record|type|defmodule|package)"
    r"\s+(?P<type>[A-Za-z_][\w.:]*)"
    r"|(?:def|fn|func|fun|function\*?|sub|proc|defp?|macro_rules!)\s+(?:\([^)]*\)\s*)?(?P<function>[A-Za-z_][\w.:?!]*)"
    r"|(?:const|let|var)\s+(?P<arrow>[A-Za-z_$][\w$]*)\s*=\s*(?:async\s*)?(?:function|\([^)]*\)\s*=>|\w+\s*=>)"
    r"|create\s+(?:or\s+replace\s+)?(?:table|view|function|procedure|index|trigger)\s+(?:if\s+not\s+exists\s+)?"
    r"(?P<sql>[\w.\"`]+)"
    r"|(?:message|service)\s+(?P<proto>[A-Za-z_]\w*)\s*\{"
    r"|resource\s+(?P<tf>\"[\w-]+\"\s+\"[\w-]+\")"
    r"|[A-Za-z_][\w<>\[\],.:&* \t]{0,80}?[ \t*&](?P<c>[A-Za-z_~][\w:~]*)\s*\([^;{}=]*\)[^;{}=()]*\{?[ \t]*$"
    r")",
    re.I,
)
_STRETCH = 200
"""Lines a span may hold, so that the line of a character is found by counting few lines."""
_LONG = 200
"""Longer lines are minified or data, and would let the pattern backtrack."""
_NOT_CALLS = set("if for while switch return else catch do try new throw case elif sizeof await yield delete".split())


@dataclass(frozen=True, slots=True)
class _Definition:
    """From `line` on the text belongs to `symbol`."""

    line: int
    symbol: str


def read(name: str, data: bytes, depth: int) -> Extract:
    """The whole file; each definition opens a new stretch. `metadata["language"]` names the language."""
    decoded = decode(data)
    draft = Draft(depth=depth)
    if decoded.warning:
        draft.warn(decoded.warning)
    text = draft.clean(decoded.text)
    suffix = PurePosixPath(name.lower()).suffix.lstrip(".")
    language = _NAMES.get(suffix, suffix)
    draft.meta("language", language)
    lines = text.split("\n")
    definitions = _python(text, lines) if language == "python" else _by_pattern(lines)
    at, symbol = 1, ""
    for definition in definitions:
        if definition.line > at:
            _add(draft, lines, at, definition.line, symbol)
            at = definition.line
        symbol = definition.symbol
    _add(draft, lines, at, len(lines) + 1, symbol)
    return draft.extract(f"text/x-{language}", PurePosixPath(name).name)


def _add(draft: Draft, lines: list[str], start: int, end: int, symbol: str) -> None:
    """Appends lines `start` to before `end`; blank lines around them go, so the first line's number is the place."""
    while start < end and not lines[start - 1].strip():
        start += 1
    while end > start and not lines[end - 2].strip():
        end -= 1
    for first in range(start, end, _STRETCH):
        last = min(first + _STRETCH, end)
        draft.place = replace(draft.place, symbol=symbol, line=first)
        draft.add("\n".join(lines[first - 1 : last - 1]), "code", gap="\n\n" if last == end else "\n")


def _python(text: str, lines: list[str]) -> list[_Definition]:
    """Functions, classes and methods with their decorators and the comment above; by pattern if it won't parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return list(_by_pattern(lines))
    found: list[tuple[int, int, _Definition]] = []
    todo: list[tuple[ast.AST, str]] = [(tree, "")]
    while todo:
        parent, prefix = todo.pop()
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                symbol = f"{prefix}{node.name}"
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                start, end = _above(lines, first), (node.end_lineno or node.lineno) + 1
                found.append((start, 1, _Definition(start, symbol)))
                found.append((end, -len(prefix), _Definition(end, prefix.rstrip("."))))
                if isinstance(node, ast.ClassDef):
                    todo.append((node, f"{symbol}."))
            elif isinstance(parent, ast.Module) and isinstance(node, ast.If | ast.Try):
                todo.append((node, prefix))
    # On one line inner ends come before outer ones, and a start after all ends.
    return [definition for _, _, definition in sorted(found, key=lambda entry: entry[:2])]


def _above(lines: list[str], line: int) -> int:
    """The first line of the comment block that stands directly above `line`."""
    while line > 1 and lines[line - 2].lstrip().startswith(("#", "//", "/*", "* ", "*/", "///", "--", "@")):
        line -= 1
    return line


def _by_pattern(lines: list[str]) -> Iterator[_Definition]:
    """Definitions by their keyword; one indented deeper than a type is its member."""
    types: list[tuple[int, str]] = []
    for number, line in enumerate(lines, start=1):
        if len(line) > _LONG:
            continue
        match = _DEFINITION.match(line)
        if not match:
            continue
        name = next(value for key, value in match.groupdict().items() if key != "indent" and value)
        if name.lower() in _NOT_CALLS or line.split()[0] in _NOT_CALLS:
            continue
        indent = len(match["indent"].expandtabs(4))
        while types and types[-1][0] >= indent:
            types.pop()
        if match["function"] is None and match["type"] is None and indent > (types[-1][0] + 8 if types else 0):
            continue  # deep inside a body: a call or a local
        symbol = f"{types[-1][1]}.{name}" if types else name
        if match["type"]:
            types.append((indent, symbol))
        yield _Definition(_above(lines, number), symbol)
