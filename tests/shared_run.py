"""Lets several runs of pytest share their tests: each test runs in one of them.

A pytest plugin; `python -m tests.side_by_side` starts the runs. All collect the same tests. A run
claims a file, runs its tests and claims the next, so that each has something to do until the end.
The runs share the host, so tests marked `alone` run last, in one of them, when the others are done.
"""

import ctypes
import fcntl
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest

SET_PARENT_DEATH_SIGNAL: Final = 1


class SharedRun:
    """One of the runs, which agree on who runs what through files in a folder of theirs."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self._number = number

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Called by pytest in place of its own loop, once all tests are collected."""
        if session.testsfailed or session.config.option.collectonly:
            return None  # pytest's own loop says what is wrong
        alone = [item for item in session.items if item.get_closest_marker("alone")]
        together = [item for item in session.items if not item.get_closest_marker("alone")]
        with (self._folder / "others-run").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            self._run(session, "together", in_order(together, self._number))
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._run(session, "alone", by_file(alone))
        return True

    def _run(self, session: pytest.Session, phase: str, files: Iterable[list[pytest.Item]]) -> None:
        """Run the tests of those files that no other run has claimed in this phase."""
        last = None
        for file in files:
            if self._claim(f"{phase} {file[0].nodeid.partition('::')[0]}"):
                # What comes after the file's last test is not claimed yet: the session goes on.
                for item, upcoming in zip(file, [*file[1:], session], strict=True):
                    item.ihook.pytest_runtest_protocol(item=item, nextitem=upcoming)
                    end_if_asked(session)
                last = file[-1]
        if last is not None:
            tear_down_for_good(last)

    def _claim(self, work: str) -> bool:
        """Whether that work is this run's from now on."""
        try:
            (self._folder / work.replace("/", "+")).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def end_if_asked(session: pytest.Session) -> None:
    """As pytest's own loop does after each test."""
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)


def tear_down_for_good(last: pytest.Item) -> None:
    """End what is of the whole session; if that fails, it is told of the test that ran last."""
    call = pytest.CallInfo.from_call(
        lambda: last.session._setupstate.teardown_exact(None),
        when="teardown",
        reraise=(KeyboardInterrupt, pytest.exit.Exception),
    )
    report = last.ihook.pytest_runtest_makereport(item=last, call=call)
    last.ihook.pytest_runtest_logreport(report=report)


def by_file(items: Iterable[pytest.Item]) -> list[list[pytest.Item]]:
    """The tests of each file, files and tests in the order in which they come."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    return list(files.values())


def in_order(items: Iterable[pytest.Item], number: int) -> Iterator[list[pytest.Item]]:
    """The files as the run of that number takes them: from the front or from the end.

    At the end is what may take long, so that no run is left with it when the others are done.
    """
    files = sorted(by_file(items), key=limit_s)
    return iter(files) if number % 2 else reversed(files)


def limit_s(items: list[pytest.Item]) -> float:
    """The longest time that one of the tests is given; 0 if none has a limit of its own."""
    marks = (mark for item in items for mark in item.iter_markers("timeout"))
    return max((float(mark.args[0]) for mark in marks), default=0.0)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Called by pytest when this module is given with -p."""
    group = parser.getgroup("shared run")
    group.addoption("--shared-folder", type=Path, help="where the runs agree on who runs what")
    group.addoption("--run-number", type=int, help="of this run, from 0")


def pytest_configure(config: pytest.Config) -> None:
    """Called by pytest when this module is given with -p."""
    # As Ctrl-C does, so that what the tests made on the host goes with the run.
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGINT)
    run = SharedRun(config.getoption("--shared-folder"), config.getoption("--run-number"))
    config.pluginmanager.register(run)
