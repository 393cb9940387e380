"""The rules of the house that no linter knows. Each message says what to do.

An exemption stands in the file it is for, with its reason: `# long: why` on or above a function
or on the module's first lines. Modules whose test has another name stand in
tests/tested_elsewhere.py.
"""

import ast
import re
from pathlib import Path
from typing import Final

from tests.sources import (
    CODE,
    MODULES,
    ROOT,
    SOURCES,
    TESTS,
    fail_if,
    functions,
    is_pure,
    module_of,
    name,
    reached,
    text,
)
from tests.tested_elsewhere import TESTED_BY

MAX_FILE_LINES: Final = 400
MAX_FUNCTION_LINES: Final = 50
MAX_MAP_LINES: Final = 250
REFUSED_NAMES: Final = {"utils", "util", "helpers", "helper", "misc", "common", "base", "manager",
                        "types"}  # fmt: skip
NO_TWIN: Final = {"__init__", "__main__", "settings", "ports"}
PROGRAMS: Final = ("qvdnode.cli.qvdnode.program", "qvdnode.cli.qvd.program")
LISTED: Final = [module for modules in TESTED_BY.values() for module in modules]
BRANCHES: Final = (ast.If, ast.IfExp, ast.For, ast.While, ast.Try, ast.Match, ast.BoolOp,
                   ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)  # fmt: skip


def test_files_are_short() -> None:
    broken = []
    for path in SOURCES:
        lines = text(path).splitlines()
        excused = any(line.startswith("# long: ") for line in lines[:10])
        if len(lines) > MAX_FILE_LINES and not excused:
            broken.append(f"{name(path)} has {len(lines)} lines")
    fail_if(broken, f"split it along a noun, at most {MAX_FILE_LINES} lines a file")


def test_functions_are_short() -> None:
    broken = []
    for path in SOURCES:
        lines = text(path).splitlines()
        for function in functions(path):
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            above = lines[max(0, function.lineno - 2) : function.lineno]
            if length > MAX_FUNCTION_LINES and not any("# long: " in line for line in above):
                broken.append(f"{name(path)}:{function.lineno} {function.name} has {length} lines")
    fail_if(broken, f"give its steps names, at most {MAX_FUNCTION_LINES} lines a function")


def test_no_dumping_grounds() -> None:
    broken = [name(path) for path in SOURCES if is_dumping_ground(path.relative_to(ROOT))]
    fail_if(broken, "name the file, or its folder, after what it holds")


def is_dumping_ground(inside: Path) -> bool:
    return not REFUSED_NAMES.isdisjoint(inside.with_suffix("").parts)


def test_a_dumping_ground_is_known_by_file_and_folder() -> None:
    assert is_dumping_ground(Path("qvdnode/vm/utils.py"))
    assert is_dumping_ground(Path("qvdnode/common/clock.py"))
    assert not is_dumping_ground(Path("qvdnode/cli/demo/plan.py"))


def test_logic_has_a_test_of_its_name() -> None:
    broken = [
        f"{name(path)} wants tests/unit/{twin_of(path.relative_to(CODE))}"
        for path in MODULES
        if needs_test(path) and name_in_table(path) not in LISTED
    ]
    fail_if(
        broken,
        "write the unit test; a shell may have an integration or contract test of its path, or a "
        "row in tests/tested_elsewhere.py with a test that imports it, directly or by others",
    )


def test_the_table_of_tests_elsewhere_has_what_it_needs_and_no_more() -> None:
    twice = sorted({module for module in LISTED if LISTED.count(module) > 1})
    broken = [f"{module} stands there twice" for module in twice]
    for test, modules in TESTED_BY.items():
        for module in modules:
            path = CODE / module
            if not path.exists():
                broken.append(f"{module} is not a file")
            elif not needs_test(path):
                broken.append(f"{module} has a test of its name, or decides nothing")
            elif not is_run_by(TESTS / test, module_of(path)):
                broken.append(f"{module} is not imported by {test}")
    fail_if(broken, "mend the row in tests/tested_elsewhere.py")


def name_in_table(path: Path) -> str:
    return path.relative_to(CODE).as_posix()


def needs_test(path: Path) -> bool:
    """Whether a module decides something, and has no test of its own name."""
    inside = path.relative_to(CODE)
    kinds = ("unit",) if is_pure(inside) else ("unit", "contract", "integration")
    return (
        path.stem not in NO_TWIN
        and has_logic(path)
        and not any((TESTS / kind / twin_of(inside)).exists() for kind in kinds)
    )


def is_run_by(test: Path, module: str) -> bool:
    """Whether a test, its fixtures, or a program that it starts comes to import a module."""
    if not test.exists():
        return False
    fixtures = [file for folder in test.parents if (file := folder / "conftest.py").exists()]
    starts = [*map(module_of, (test, *fixtures)), *re.findall(r"\bqvdnode(?:\.\w+)+", text(test))]
    if test.is_relative_to(TESTS / "e2e"):
        starts += PROGRAMS
    return any(module in reached(start) for start in starts)


def test_a_test_is_known_by_what_it_imports() -> None:
    fleet = TESTS / "unit/vm/test_fleet.py"
    assert is_run_by(fleet, "qvdnode.vm.guest.actor")
    assert not is_run_by(fleet, "qvdnode.cli.demo.run")
    assert not is_run_by(fleet.with_name("test_nothing.py"), "qvdnode.vm.guest.actor")
    assert is_run_by(TESTS / "e2e/test_demo.py", "qvdnode.cli.demo.run")


def twin_of(inside: Path) -> Path:
    return inside.with_name(f"test_{inside.stem}.py")


def has_logic(path: Path) -> bool:
    """Whether any function decides or repeats something."""
    return any(
        isinstance(node, BRANCHES) for function in functions(path) for node in ast.walk(function)
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


def test_the_map_has_every_package() -> None:
    page = text(ROOT / "docs" / "architecture.md")
    headings = set(re.findall(r"^#+ `(\w+)/`", page, re.MULTILINE))
    packages = {path.name for path in CODE.iterdir() if (path / "__init__.py").exists()}
    assert headings == packages, (
        f"docs/architecture.md: add a heading for {sorted(packages - headings)}, "
        f"take away {sorted(headings - packages)}"
    )
    assert len(page.splitlines()) <= MAX_MAP_LINES, "a map is short; move details beside the code"


def test_the_map_names_files_that_are_there() -> None:
    page = text(ROOT / "docs" / "architecture.md")
    named = set(re.findall(r"`((?!core/)\w+/[\w/]+\.py)`", page))
    assert named
    fail_if(sorted(path for path in named if not (CODE / path).exists()), "mend the map")


def test_make_help_tells_of_every_target() -> None:
    makefile = text(ROOT / "Makefile")
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert targets is not None
    silent = [
        name for name in targets[1].split() if f"make {name}" not in makefile and name != "help"
    ]
    assert not silent, f"`make help` does not tell of {silent}"


def test_links_in_the_docs_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{name(page)} -> {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)", text(page))
        if "://" not in target and not (page.parent / target).exists()
    ]
    fail_if(broken, "mend the link, or write the page")
