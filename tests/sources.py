"""The project's source, as the tests of its rules read it."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
CODE: Final = ROOT / "qvdnode"
TESTS: Final = ROOT / "tests"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def python_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


MODULES: Final = python_files(CODE)
SOURCES: Final = [
    *MODULES,
    *(path for part in ("bench", "docs", "fuzz", "tests") for path in python_files(ROOT / part)),
]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@functools.cache
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(text(path), filename=str(path))


@functools.cache
def nodes(source: ast.Module) -> list[ast.AST]:
    """All that a module's source is made of; walking it again and again would take a while."""
    return list(ast.walk(source))


def functions(path: Path) -> Iterator[Function]:
    return (node for node in nodes(tree(path)) if isinstance(node, Function))


def is_pure(inside: Path) -> bool:
    """Whether a module, by its path inside the package, only computes."""
    return inside.parts[0] in {"model", "wire"} or "core" in inside.parts


@functools.cache
def names(source: ast.Module) -> list[tuple[int, str]]:
    """What a module imports or reaches by a dot, under its full name, with the line."""
    known: dict[str, str] = {}
    found: list[tuple[int, str]] = []
    for node in nodes(source):
        if isinstance(node, ast.stmt):
            known.update((here, full) for full, here in _imported(node))
            found += ((node.lineno, full) for full, _ in _imported(node))
    for node in nodes(source):
        if isinstance(node, ast.Attribute):
            used = written(node)
            first = re.split(r"\W", used, maxsplit=1)[0]
            found.append((node.lineno, known.get(first, first) + used.removeprefix(first)))
    return found


def written(node: ast.expr) -> str:
    """The source of an expression; `ast.unparse` alone would take a while for a name with dots."""
    if isinstance(node, ast.Attribute):
        return f"{written(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ast.unparse(node)


def _imported(node: ast.AST) -> Iterator[tuple[str, str]]:
    """The full names that an import statement brings, and what they are called here."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, alias.asname or alias.name
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield f"{node.module}.{alias.name}", alias.asname or alias.name


def imports(source: ast.Module, *, for_types: bool = False) -> Iterator[str]:
    """The full names that a module imports when it runs, or also for its types alone."""
    unseen = {
        id(inner)
        for node in nodes(source)
        if isinstance(node, ast.If) and written(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in nodes(source):
        if for_types or id(node) not in unseen:
            yield from (full for full, _ in _imported(node))


@functools.cache
def reached(first: str) -> dict[str, str]:
    """All that comes with a module, by import or as a program, each with who asks for it.

    Of ours, modules; of others, their top package.
    """
    waiting, found = [first], {first: first}
    while waiting:
        asking = waiting.pop()
        for module in asked_for(asking):
            if module not in found:
                found[module] = asking
                waiting.append(module)
    return found


@functools.cache
def asked_for(module: str) -> set[str]:
    """What a module of ours imports, or starts by its name (`python -m`)."""
    path = file_of(module)
    if path is None:
        return set()
    started = re.findall(r"\"(qvdnode(?:\.\w+)+)\"", text(path))
    return {
        *filter(file_of, started),
        *(brought for full in imports(tree(path)) for brought in brought_by(full)),
    }


def brought_by(full: str) -> list[str]:
    """The modules that an import of a name runs: ours with the packages above, or a library."""
    parts = full.split(".")
    above = (".".join(parts[: length + 1]) for length in range(len(parts)))
    return [module for module in above if file_of(module)] or parts[:1]


def module_of(path: Path) -> str:
    """How a file of ours is imported."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def file_of(module: str) -> Path | None:
    """Where a module of ours stands; None for others, and for what is not a module."""
    path = ROOT.joinpath(*module.split("."))
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in files if file.exists()), None)


def fail_if(broken: list[str], advice: str) -> None:
    assert not broken, f"{advice}:\n  " + "\n  ".join(broken)
