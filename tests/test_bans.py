"""What must not stand in the code: what ruff's table of whole names cannot say.

An exemption stands on the line it is for, with its reason: `# allowed: why`.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.sources import (
    CODE,
    MODULES,
    ROOT,
    SOURCES,
    TESTS,
    fail_if,
    name,
    names,
    nodes,
    python_files,
    text,
    tree,
    written,
)


@dataclass(frozen=True, slots=True)
class Ban:
    """Names that nobody uses in a folder, and what to do instead."""

    names: re.Pattern[str]
    folder: Path
    advice: str


BANS: Final = (
    Ban(re.compile(r"unittest\b"), ROOT, "write a fake in tests/fakes"),
    Ban(re.compile(r"random\.(?!Random\b)"), ROOT, "take a random.Random"),
    Ban(
        re.compile(r"os\.(system|popen|forkpty|fork|exec[lv]\w*|spawn\w+|posix_spawnp?)$"),
        CODE,
        "use host.process",
    ),
    # A task group owns what it starts, so it may.
    Ban(re.compile(r".*(?<!group)(?<!asyncio)\.create_task$"), CODE, "use runtime.supervise"),
    Ban(
        re.compile(r"time\.time(_ns)?$|datetime\.(\w+\.)?(now|utcnow|today)$"),
        TESTS,
        "tests.fakes.clock has the time of tests, tests.waiting measures",
    ),
)
BLIND_CATCHES: Final = {"runtime/supervise.py", "admin/boundary.py", "broker/boundary.py"}
SKIPS: Final = {
    "tests/integration/host/test_cgroups.py": 1,  # one of two, by the host's version of cgroups
    "tests/integration/host/test_merging.py": 1,  # kernels before 6.7 cannot
    "tests/integration/image/test_overlay.py": 2,  # one of two, by what the file system can do
    "tests/integration/image/test_size_limit.py": 1,  # of project quota, in `make stock`
}
"""Tests that may be skipped, with a reason told by `-ra`; never for want of LXC, PostgreSQL,
nftables or NX, which are the product."""
SKIPPING: Final = {"skip", "skipif", "importorskip", "xfail"}
GROUPS: Final = {"ExceptionGroup", "BaseExceptionGroup"}
EVERYTHING: Final = {"Exception", "BaseException", *GROUPS}


def banned(source: ast.Module, ban: Ban) -> list[int]:
    return [line for line, used in names(source) if ban.names.match(used)]


@pytest.mark.parametrize("ban", BANS, ids=lambda ban: ban.advice)
def test_what_is_banned_is_not_used(ban: Ban) -> None:
    broken = [
        f"{name(path)}:{line}"
        for path in SOURCES
        if path.is_relative_to(ban.folder)
        for line in banned(tree(path), ban)
        if "# allowed: " not in text(path).splitlines()[line - 1]
    ]
    fail_if(broken, ban.advice)


@pytest.mark.parametrize(
    "code",
    [
        "from unittest.mock import MagicMock",
        "from unittest import mock",
        "import unittest.mock as m",
        "import random\nrandom.triangular()",
        "import random as r\nr.random()",
        "from random import choice",
        "import os\nos.posix_spawnp('a', [], {})",
        "from os import system",
        "asyncio.get_running_loop().create_task(work)",
        "self._loop.create_task(work)",
        "import time\ntime.time_ns()",
        "from datetime import datetime as d\nd.now(UTC)",
        "import datetime\ndatetime.date.today()",
    ],
)
def test_a_ban_finds_every_way_to_say_it(code: str) -> None:
    assert any(banned(ast.parse(code), ban) for ban in BANS)


@pytest.mark.parametrize(
    "code",
    [
        "import random\nrandom.Random(1).choice([1])",
        "from random import Random",
        "self._random.choice([1])",
        "group.create_task(work)",
        "os.execution",
        "clock.time()",
    ],
)
def test_a_ban_leaves_the_rest(code: str) -> None:
    assert not any(banned(ast.parse(code), ban) for ban in BANS)


def test_blind_catches_stand_at_the_boundaries() -> None:
    broken = [
        f"{name(path)}:{line}"
        for path in MODULES
        if str(path.relative_to(CODE)) not in BLIND_CATCHES
        for line in blind_catches(tree(path))
    ]
    fail_if(broken, "name what can go wrong; only " + ", ".join(sorted(BLIND_CATCHES)) + " may not")


def blind_catches(source: ast.Module) -> list[int]:
    """Where everything is caught, whatever it is, and not raised again."""
    return [
        node.lineno
        for node in nodes(source)
        if (isinstance(node, ast.ExceptHandler) and is_blind(node.type) and not raises_again(node))
        or (isinstance(node, ast.Call) and is_blind_suppress(node))
    ]


def is_blind(caught: ast.expr | None) -> bool:
    kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in EVERYTHING) for kind in kinds
    )


def raises_again(handler: ast.ExceptHandler) -> bool:
    """Whether it only tidies up: it ends with a bare raise, and nothing leaves before that.

    Of a group of errors, it may be one of them that is raised.
    """
    last = handler.body[-1]
    leaves = (ast.Return, ast.Break, ast.Continue)
    one_of_them = isinstance(handler.type, ast.Name) and handler.type.id in GROUPS
    return (
        isinstance(last, ast.Raise)
        and (last.exc is None or one_of_them)
        and not any(isinstance(node, leaves) for node in ast.walk(handler))
    )


def is_blind_suppress(call: ast.Call) -> bool:
    return written(call.func).endswith("suppress") and any(map(is_blind, call.args))


@pytest.mark.parametrize(
    ("code", "blind"),
    [
        ("try: a\nexcept: b", True),
        ("try: a\nexcept Exception: b", True),
        ("try: a\nexcept (OSError, BaseException): b", True),
        ("try: a\nexcept* Exception: b", True),
        ("try: a\nexcept Exception:\n if b: raise", True),
        ("try: a\nexcept Exception:\n if b: return\n raise", True),
        ("with contextlib.suppress(Exception): a", True),
        ("with suppress(OSError, BaseExceptionGroup): a", True),
        ("try: a\nexcept BaseExceptionGroup: b", True),
        ("try: a\nexcept BaseException as b:\n raise OSError from b", True),
        ("try: a\nexcept BaseExceptionGroup as b:\n raise one(b) from b", False),
        ("try: a\nexcept BaseException:\n b\n raise", False),
        ("try: a\nexcept OSError: b", False),
        ("with suppress(OSError): a", False),
    ],
)
def test_a_blind_catch_is_told_from_others(code: str, blind: bool) -> None:
    assert bool(blind_catches(ast.parse(code))) == blind


def test_nothing_is_skipped_in_silence() -> None:
    broken = []
    for path in python_files(TESTS):
        found = [
            node.lineno
            for node in nodes(tree(path))
            if isinstance(node, ast.Attribute) and node.attr in SKIPPING
        ]
        if len(found) > SKIPS.get(name(path), 0):
            broken.append(f"{name(path)}, lines {', '.join(map(str, found))}")
    fail_if(broken, "make the test run here, or list it in SKIPS with the reason")


def test_no_test_sleeps() -> None:
    broken = []
    for path in python_files(TESTS):
        source = tree(path)
        polls = {
            id(inner)
            for loop in nodes(source)
            if isinstance(loop, ast.While)
            for inner in ast.walk(loop)
        }
        broken += [
            f"{name(path)}:{node.lineno}"
            for node in nodes(source)
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


def test_every_exemption_has_its_reason() -> None:
    bare = re.compile(r"# (noqa(: [A-Z0-9, ]+)?|type: ignore(\[[\w, -]+\])?|allowed: |long: )\s*$")
    broken = [
        f"{name(path)}:{number}"
        for path in SOURCES
        for number, line in enumerate(text(path).splitlines(), start=1)
        if bare.search(line)
    ]
    fail_if(broken, "say why, behind it")


def test_every_run_of_the_tests_tells_its_seed() -> None:
    quiet = re.findall(r"pytest .*-q.*", text(ROOT / "Makefile"))
    assert not quiet, "pytest -q leaves out the seed of the random order"
