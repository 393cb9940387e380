"""Repeats the tests that failed in continuous integration, each alone and once.

A pytest plugin that writes down how a run ended, and a program that reads it. A test that passes
alone is printed as `unstable: NAME` and fails nothing; its first failure stands in the run's output
above and in the record. More than REPEATED_MAX failures, or a run that did not reach its end, are
no matter of luck and stay failures.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import pytest

REPEATED_MAX: Final = 3
RECORD: Final = Path(".pytest_cache/failed_tests.json")
"""How the last run of all tests ended."""


@dataclass
class Run:
    """How a run of pytest ended."""

    exit_status: int
    failed: dict[str, str] = field(default_factory=dict)
    """What each failed test, by its node id, printed."""


class Recorder:
    """Collects failures, of setup and teardown too, and writes them at the end of the run."""

    def __init__(self, record: Path) -> None:
        self._record = record
        self._failed: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called by pytest after each phase of a test."""
        if report.failed:
            sections = [f"-- {title} --\n{text}" for title, text in report.sections]
            said = "\n".join([str(report.longrepr), *sections])
            self._failed[report.nodeid] = self._failed.get(report.nodeid, "") + said

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Called by pytest at the end of a run, also of one that was interrupted."""
        write(self._record, Run(int(exitstatus), self._failed))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Called by pytest when this module is given with -p."""
    parser.addoption("--record", type=Path, default=RECORD, help="where to write how the run ended")


def pytest_configure(config: pytest.Config) -> None:
    """Called by pytest when this module is given with -p."""
    record: Path = config.getoption("--record")
    record.unlink(missing_ok=True)
    config.pluginmanager.register(Recorder(record))


def write(record: Path, run: Run) -> None:
    """Keep how a run ended."""
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(asdict(run), indent=1))


def read(record: Path) -> Run:
    """How the last run ended; one that left no record counts as an internal error of pytest."""
    try:
        return Run(**json.loads(record.read_text()))
    except FileNotFoundError:
        return Run(int(pytest.ExitCode.INTERNAL_ERROR))


def repeated(run: Run, passes: Callable[[str], bool], tell: Callable[[str], None]) -> bool:
    """Whether every failed test of the run passes when it is repeated alone."""
    if run.exit_status != pytest.ExitCode.TESTS_FAILED or not run.failed:
        tell(f"not repeated: the run ended with pytest's exit status {run.exit_status}")
        return False
    if len(run.failed) > REPEATED_MAX:
        tell(f"not repeated: {len(run.failed)} tests failed, at most {REPEATED_MAX} are repeated")
        return False
    verdicts = {name: passes(name) for name in run.failed}
    for name, passed in verdicts.items():
        tell(f"{'unstable' if passed else 'failed again'}: {name}")
        if passed:
            tell(f"first failure of {name}:\n{run.failed[name]}")
    return all(verdicts.values())


def _passes_alone(name: str) -> bool:
    command: Sequence[str] = (sys.executable, "-m", "pytest", "--hypothesis-profile=whole", name)
    return subprocess.run(command, check=False).returncode == 0


def main() -> None:
    """Repeat what failed; the exit code is 0 if all of it passes now."""
    good = repeated(read(RECORD), _passes_alone, lambda line: print(line, flush=True))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
