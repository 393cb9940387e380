"""Runs side by side run each test once, tell all that happened, and leave nothing when ended."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.side_by_side import RUNS, Output, total, worst
from tests.waiting import until_sync

ROOT = Path(__file__).parents[2]
SETTINGS = """
[tool.pytest.ini_options]
markers = ["alone"]
"""
SAMPLE = """
import pytest, os, time
from pathlib import Path

LOG = Path(__file__).parent / "log"

@pytest.fixture(autouse=True)
def told(request):
    with LOG.open("a") as log:
        print("begin", request.node.nodeid, file=log, flush=True)
        yield
        print("end", request.node.nodeid, file=log, flush=True)

%s
"""
pytestmark = pytest.mark.timeout(60)


@contextmanager
def runs(folder: Path, *options: str, **tests: str) -> Iterator["subprocess.Popen[str]"]:
    """The program at work on files of tests; it is ended when the test is."""
    (folder / "pyproject.toml").write_text(SETTINGS)
    for name, text in tests.items():
        (folder / f"test_{name}.py").write_text(SAMPLE % text)
    command = [sys.executable, "-m", "tests.side_by_side", f"--rootdir={folder}", "-c"]
    with subprocess.Popen(
        [*command, folder / "pyproject.toml", *options, folder],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        process_group=0,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as program:  # fmt: skip
        try:
            yield program
        finally:
            program.terminate()


def log(folder: Path) -> list[str]:
    path = folder / "log"
    return path.read_text().splitlines() if path.exists() else []


def test_each_test_runs_once_and_failures_are_told_in_full_at_the_end(tmp_path: Path) -> None:
    files = {f"good{number}": "def test_good(): pass" for number in range(6)}
    bad = 'def test_bad():\n    assert not "the reason"'
    with runs(tmp_path, **files, bad=bad) as program:
        said, _ = program.communicate()
    assert program.returncode == pytest.ExitCode.TESTS_FAILED
    assert sorted(line for line in log(tmp_path) if line.startswith("begin")) == sorted(
        [f"begin test_good{number}.py::test_good" for number in range(6)]
        + ["begin test_bad.py::test_bad"]
    )
    assert said.count('assert not "the reason"') == 1
    assert "==== 1 failed, 6 passed in " in said.splitlines()[-1]
    record = json.loads((tmp_path / ".pytest_cache" / "failed_tests.json").read_text())
    assert list(record["failed"]) == ["test_bad.py::test_bad"]
    assert record["exit_status"] == pytest.ExitCode.TESTS_FAILED


def test_nothing_runs_beside_a_test_that_wants_to_be_alone(tmp_path: Path) -> None:
    slow = "def test_slow(): time.sleep(0.2)"
    alone = f"@pytest.mark.alone\n{slow}"
    files = {
        f"{name}{number}": text
        for name, text in (("a", alone), ("b", slow))
        for number in (1, 2, 3)
    }
    with runs(tmp_path, **files) as program:
        program.communicate()
    assert program.returncode == 0
    told = log(tmp_path)
    assert len(told) == 12
    first = next(number for number, line in enumerate(told) if "test_a" in line)
    assert all("test_a" in line for line in told[first:])
    for begin, end in zip(told[first::2], told[first + 1 :: 2], strict=True):
        assert end == begin.replace("begin", "end")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whoever_ends_the_program_gets_what_tests_made_removed(
    tmp_path: Path, number: signal.Signals
) -> None:
    files = {f"slow{file}": "def test_slow(): time.sleep(50)" for file in range(RUNS)}
    with runs(tmp_path, **files) as program:
        until_sync(lambda: len(log(tmp_path)) == RUNS, limit_s=30)
        program.send_signal(number)
        until_sync(lambda: len(log(tmp_path)) == 2 * RUNS, limit_s=30)
        program.communicate()
    assert program.returncode == (
        -number if number == signal.SIGKILL else pytest.ExitCode.INTERRUPTED
    )


def test_what_is_of_the_whole_run_is_removed_once_and_told_if_that_fails(tmp_path: Path) -> None:
    fixture = """
@pytest.fixture(scope="session")
def shared():
    yield
    LOG.open("a").write("removed\\n")
    assert not "removable"

def test_it(shared): pass
"""
    with runs(tmp_path, one=fixture) as program:
        said, _ = program.communicate()
    assert log(tmp_path).count("removed") == 1
    assert said.count('assert not "removable"') == 1
    assert "==== 1 error, 1 passed in " in said.splitlines()[-1]
    assert program.returncode == pytest.ExitCode.TESTS_FAILED


def test_the_counts_of_all_runs_are_added_up() -> None:
    assert (
        total(
            [
                "======= 1 failed, 10 passed, 1 skipped, 1 error in 61.20s (0:01:01) =======",
                "=================== 1 failed, 5 passed, 2 errors in 3.1s ==================",
                "Exception ignored in what came after: 1 failed, 1 passed in vain",
            ]
        )
        == "3 error, 2 failed, 15 passed, 1 skipped"
    )


def test_the_worst_exit_code_counts() -> None:
    assert worst([0, 0]) == 0
    assert worst([0, 1]) == pytest.ExitCode.TESTS_FAILED
    assert worst([1, -9]) == pytest.ExitCode.INTERNAL_ERROR


def test_lines_come_when_they_are_whole_and_the_verdict_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "output"
    output = Output(path)
    path.write_text("==== test session starts ====\nplatform\ncollected 3 items\n\ntests/a.py .")
    assert output.fresh(ended=False) == ["collected 3 items"]
    with path.open("a") as file:
        file.write("F\ntests/b.py ")
    assert output.fresh(ended=False) == ["tests/a.py .F"]
    with path.open("a") as file:
        file.write(".\n\n==== FAILURES ====\nwhy\n==== 1 failed in 1s ====")
    assert output.fresh(ended=True) == ["tests/b.py ."]
    assert output.verdict == ["==== FAILURES ====", "why", "==== 1 failed in 1s ===="]


def test_a_mistake_in_the_arguments_is_told(tmp_path: Path) -> None:
    with runs(tmp_path, "--no-such-option") as program:
        said, _ = program.communicate()
    assert "unrecognized arguments: --no-such-option" in said
    assert program.returncode == pytest.ExitCode.USAGE_ERROR
