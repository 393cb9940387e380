"""What tests of logins share."""

from collections.abc import Iterator

import pytest

from qvdnode.auth.passwords import PasswordHasher
from tests.unit.auth.door import Door


@pytest.fixture(scope="module")
def hasher() -> Iterator[PasswordHasher]:
    made = PasswordHasher(threads=1)
    yield made
    made.close()


@pytest.fixture
def door(hasher: PasswordHasher) -> Door:
    return Door(hasher)
