"""Control groups of tests."""

from collections.abc import Iterator

import pytest

from tests.integration.memopt.held_memory import own_group


@pytest.fixture
def group() -> Iterator[str]:
    """A control group of the test's own."""
    yield from own_group()
