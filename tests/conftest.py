"""What all tests share: fixtures of real servers and images, how hypothesis behaves here."""

import logging
import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = [
    "tests.fixtures_guest",
    "tests.fixtures_image",
    "tests.fixtures_machine",
    "tests.fixtures_postgres",
]

# As the programs do: what tests make themselves is for guests, too.
os.umask(0o022)

# A shared machine stalls now and then, which says nothing about the code under test.
ANYWHERE = settings(
    deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("quick", ANYWHERE, max_examples=30)
settings.register_profile("whole", ANYWHERE, max_examples=100)
settings.register_profile("soak", ANYWHERE, max_examples=1_000)
settings.load_profile("quick")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """After each phase of a test, release locks that its time limit may have left locked.

    A limit that passes while a child is forked keeps the lock of `logging` from being released, and
    every thread that logs or forks afterwards would hang, the whole run with it.
    """
    while logging._lock._is_owned():  # type: ignore[attr-defined] # only who owns it can release it
        logging._lock.release()  # type: ignore[attr-defined] # the same
    return (yield)
