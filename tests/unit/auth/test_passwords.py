"""Password hashes."""

import asyncio
from collections.abc import Iterator

import pytest

from qvdnode.auth.passwords import PASSWORD_MAX_BYTES, PasswordHasher
from qvdnode.model.errors import Invalid, Unavailable


@pytest.fixture(scope="module")
def hasher() -> Iterator[PasswordHasher]:
    made = PasswordHasher(threads=1, queue_max=2)
    yield made
    made.close()


async def test_a_hash_is_argon2id_with_the_floor_we_promise(hasher: PasswordHasher) -> None:
    assert (await hasher.hash("secret")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_only_the_same_password_matches(hasher: PasswordHasher) -> None:
    kept = await hasher.hash("sécret")
    assert await hasher.verify(kept, "sécret")
    assert not await hasher.verify(kept, "Sécret")


@pytest.mark.parametrize("password", ["", "x" * (PASSWORD_MAX_BYTES + 1)])
async def test_an_empty_or_huge_password_is_refused(hasher: PasswordHasher, password: str) -> None:
    with pytest.raises(Invalid):
        await hasher.hash(password)
    assert not await hasher.verify(hasher._nobody, password)


async def test_a_broken_hash_matches_nothing(hasher: PasswordHasher) -> None:
    assert not await hasher.verify("rubbish", "secret")


async def test_nobody_never_matches_and_is_really_checked(hasher: PasswordHasher) -> None:
    assert not await hasher.verify_nobody("nobody")


async def test_a_password_of_odd_bytes_is_just_wrong(hasher: PasswordHasher) -> None:
    assert not await hasher.verify_nobody("\udcff")


async def test_the_queue_is_bounded(hasher: PasswordHasher) -> None:
    kept = hasher._nobody
    outcomes = await asyncio.gather(
        *(hasher.verify(kept, "guess") for _ in range(10)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Unavailable) for outcome in outcomes) == 7
    assert not await hasher.verify(kept, "afterwards there is room again")
