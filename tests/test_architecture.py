"""The house rules: import order, no cycles, lazy heavy packages, short files and functions, a sentence on top."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "src" / "knowhow"
ORDER = (
    "types errors ports settings prices store ingest search suites answer report evaluate lessons diagnose tune "
    "decide backends jobs workspace server console cli"
).split()
BACKENDS_MAY_SEE = {"types", "errors", "ports", "settings", "backends"}
HEAVY = set(
    "torch transformers peft trl datasets sentence_transformers xllamacpp wordllama openai pypdfium2 docx pptx "
    "openpyxl lxml bs4 odf striprtf psycopg ray rapidocr tokenizers gguf".split()
)
HEAVY_HOMES = ("backends/", "ingest/readers/", "store/postgres")
FILES = sorted(ROOT.rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in FILES]


def layer(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(tree: ast.AST) -> list[tuple[str, ast.stmt]]:
    found: list[tuple[str, ast.stmt]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the layer"
            found.append((node.module or "", node))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_imports_follow_the_order(name: str) -> None:
    own = name.split("/")[0].removesuffix(".py")
    if own == "__init__":
        return
    for module, _ in imports(ast.parse((ROOT / name).read_text())):
        if not module.startswith("knowhow."):
            continue
        other = layer(module)
        assert ORDER.index(other) <= ORDER.index(own), f"{name} ({own}) may not import {module}"
        if own == "backends":
            assert other in BACKENDS_MAY_SEE, f"{name} may not import {module}"


@pytest.mark.parametrize("name", NAMES)
def test_heavy_packages_are_lazy_and_in_their_homes(name: str) -> None:
    tree = ast.parse((ROOT / name).read_text())
    inside = {id(node) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for node in ast.walk(f)}
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for module, node in imports(tree):
        if module.split(".")[0] not in HEAVY or id(node) in typing_only:
            continue
        assert name.startswith(HEAVY_HOMES), f"{name} may not import {module}"
        assert id(node) in inside, f"{name} must import {module} inside the function that uses it"


@pytest.mark.parametrize("name", NAMES)
def test_files_and_functions_are_short_and_say_what_they_are_for(name: str) -> None:
    text = (ROOT / name).read_text()
    tree = ast.parse(text)
    assert text.count("\n") <= 400, f"{name} has more than 400 lines"
    assert ast.get_docstring(tree), f"{name} does not open with a sentence saying what it is for"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            assert size <= 60, f"{name}:{node.name} has {size} lines"


@pytest.mark.parametrize("name", NAMES)
def test_no_vague_modules_and_no_kwargs_in_public_signatures(name: str) -> None:
    stem = Path(name).stem
    assert stem not in {"utils", "helpers", "manager", "base", "common", "misc"}
    for node in ast.walk(ast.parse((ROOT / name).read_text())):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert node.args.kwarg is None, f"{name}:{node.name} takes **kwargs"


def modules_of(node: ast.stmt, modules: dict[str, str]) -> set[str]:
    """The modules of ours that an import at the top loads; `from package import module` needs the module alone."""
    if isinstance(node, ast.ImportFrom):
        inner = {f"{node.module}.{alias.name}" for alias in node.names}
        return {name if name in modules else str(node.module) for name in inner} & modules.keys()
    return {name for name, _ in imports(node)} & modules.keys()


def test_there_is_no_import_cycle() -> None:
    graph: dict[str, set[str]] = {}
    modules = {"knowhow." + n.removesuffix(".py").replace("/", ".").removesuffix(".__init__"): n for n in NAMES}
    for module, name in modules.items():
        top = [n for n in ast.parse((ROOT / name).read_text()).body if isinstance(n, ast.Import | ast.ImportFrom)]
        graph[module] = {m for n in top for m in modules_of(n, modules) if m != module}
    state: dict[str, int] = {}

    def visit(module: str, path: list[str]) -> None:
        state[module] = 1
        for other in sorted(graph[module]):
            assert state.get(other) != 1, f"import cycle: {' > '.join([*path, module, other])}"
            if other not in state:
                visit(other, [*path, module])
        state[module] = 2

    for module in sorted(graph):
        if module not in state:
            visit(module, [])
