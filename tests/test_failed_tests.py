"""Continuous integration forgives a test that fails once by luck, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.failed_tests import REPEATED_MAX, Run, read, repeated

SAMPLE = """
from pathlib import Path

def test_good() -> None:
    pass

def test_bad() -> None:
    print("said before it failed")
    assert False, "the reason"
"""
pytestmark = pytest.mark.timeout(60)


def run_of(*names: str, status: int = pytest.ExitCode.TESTS_FAILED) -> Run:
    return Run(int(status), dict.fromkeys(names, "why"))


def verdict(run: Run, *passing: str) -> tuple[bool, list[str]]:
    said: list[str] = []
    return repeated(run, lambda name: name in passing, said.append), said


def test_what_passes_alone_is_unstable_and_shown_with_its_first_failure() -> None:
    good, said = verdict(run_of("a", "b"), "a", "b")
    assert good
    assert said[0] == "unstable: a"
    assert said[1].endswith("why")


def test_what_fails_again_fails_the_run() -> None:
    good, said = verdict(run_of("a", "b"), "a")
    assert not good
    assert "failed again: b" in said


def test_many_failures_are_not_repeated() -> None:
    names = [f"t{number}" for number in range(REPEATED_MAX + 1)]
    assert not verdict(run_of(*names), *names)[0]


@pytest.mark.parametrize("status", [code for code in pytest.ExitCode if code != 1])
def test_a_run_that_did_not_reach_its_end_is_not_repeated(status: int) -> None:
    assert not verdict(run_of("a", status=status), "a")[0]
    assert not verdict(run_of(status=status))[0]


def test_a_run_that_left_no_record_is_not_repeated(tmp_path: Path) -> None:
    assert not verdict(read(tmp_path / "none"))[0]


def test_a_run_of_pytest_is_recorded(tmp_path: Path) -> None:
    sample, record = tmp_path / "test_sample.py", tmp_path / "record.json"
    sample.write_text(SAMPLE)
    subprocess.run(
        [
            sys.executable, "-m", "pytest", "-p", "tests.failed_tests", "-p", "no:randomly",
            "-c", "/dev/null", f"--rootdir={tmp_path}", f"--record={record}", str(sample),
        ],
        env={"PATH": "/usr/bin:/bin"},
        check=False,
        capture_output=True,
    )  # fmt: skip
    run = read(record)
    assert run.exit_status == pytest.ExitCode.TESTS_FAILED
    assert [name.rpartition("::")[2] for name in run.failed] == ["test_bad"]
    assert "the reason" in str(run.failed)
    assert "said before it failed" in str(run.failed)
