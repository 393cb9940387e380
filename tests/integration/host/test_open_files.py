"""The soft limit goes up to what is wanted, and never beyond the hard one."""

import resource
from collections.abc import Iterator

import pytest

from qvdnode.host import open_files


@pytest.fixture(autouse=True)
def limit_as_it_was() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_low_soft_limit_is_raised() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    expected = min(open_files.WANTED, hard)
    assert open_files.limit_to_expect() == expected
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 512
    assert open_files.raise_limit() == expected
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (expected, hard)
