"""Imports at the same time: a slow sender does not keep the others waiting."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from qvdnode.image.importer import AT_ONCE, Importer
from qvdnode.image.settings import ImageSettings
from qvdnode.model.errors import Throttled, TimedOut
from tests.integration.image.test_importer import left
from tests.integration.image.tiny_root import complete, stream, tar
from tests.waiting import until


async def trickle() -> AsyncIterator[bytes]:
    """A byte a second, without end."""
    content = tar(complete())
    while True:
        yield content[:1]
        await asyncio.sleep(1)


async def silence() -> AsyncIterator[bytes]:
    """One chunk, and then nothing."""
    yield tar(complete())[:512]
    await asyncio.Event().wait()


@pytest.mark.parametrize("slow", [trickle, silence])
async def test_two_slow_senders_do_not_keep_a_third_from_its_import(
    settings: ImageSettings, slow: Callable[[], AsyncIterator[bytes]]
) -> None:
    importer = Importer(replace(settings, import_rate_window_s=3.0))
    begun_s = asyncio.get_running_loop().time()
    others = [asyncio.create_task(importer.import_tar(slow(), "slow")) for _ in range(AT_ONCE)]
    await until(lambda: len(left(settings)) == AT_ONCE, what="both turns to be taken")
    imported = await importer.import_tar(stream(tar(complete())), "honest")
    assert imported.size_bytes > 0
    assert asyncio.get_running_loop().time() - begun_s < 10
    for refused in await asyncio.gather(*others, return_exceptions=True):
        assert isinstance(refused, TimedOut)
        assert "KiB/s" in str(refused)
    await importer.discard(imported)
    assert left(settings) == []


async def test_who_waits_too_long_for_a_turn_is_told_to_come_back(settings: ImageSettings) -> None:
    importer = Importer(replace(settings, import_wait_s=0.5))
    others = [asyncio.create_task(importer.import_tar(silence(), "slow")) for _ in range(AT_ONCE)]
    await until(lambda: len(left(settings)) == AT_ONCE, what="both turns to be taken")
    with pytest.raises(Throttled, match="2 other images"):
        await importer.import_tar(stream(tar(complete())), "third")
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    assert left(settings) == []
