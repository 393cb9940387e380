"""What a frozen program used after its last thaw is read back from a real swap device."""

import asyncio
from pathlib import Path

import pytest

from qvdnode.host import process
from qvdnode.host.cgroups import probe
from qvdnode.memopt import prefetch as module
from qvdnode.memopt.prefetch import Prefetch
from tests.integration.memopt.held_memory import MIB, SIZE_MIB, assert_whole, holder, swap
from tests.waiting import until


@pytest.mark.alone
async def test_what_was_used_is_read_back_before_it_is_needed(group: str, tmp_path: Path) -> None:
    cgroups = probe()
    prefetch = Prefetch(cgroups)
    async with swap(tmp_path / "zram", 256), holder(group) as child:
        prefetch.begin(group)  # nothing is known yet
        needed = prefetch.needed(group)
        assert sum(len(one.ranges) for one in needed) > 0
        prefetch.end(group)
        prefetch.keep(group, needed)
        await push_all(group)
        before = cgroups.memory(group)
        assert before.swapped_bytes > 0.8 * SIZE_MIB * MIB
        prefetch.begin(group)
        await until(
            # Not the programs' yet, so not anonymous: the kernel has it at hand.
            lambda: cgroups.memory(group).used_bytes > 0.8 * SIZE_MIB * MIB,
            what="its memory to be read back",
        )
        prefetch.end(group)
        await assert_whole(child)


async def push_all(group: str) -> None:
    found = probe().reclaim_file(group)
    assert found is not None
    file, content = found
    await process.run(["tee", file], stdin=content.encode(), check=False, limit_s=60)


async def test_pages_are_noted_some_time_after_a_thaw(
    group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NOTED_AFTER_S", 0.05)
    prefetch = Prefetch(probe())
    async with holder(group):
        prefetch.begin(group)
        await until(lambda: bool(prefetch.known(group)), what="the pages to be noted")
    assert prefetch.needed("nobody") == []


async def test_a_freeze_in_the_meantime_notes_nothing(
    group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NOTED_AFTER_S", 0.05)
    prefetch = Prefetch(probe())
    async with holder(group):
        prefetch.begin(group)
        prefetch.end(group)
        passed = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.2, passed.set_result, None)
        await passed
        assert not prefetch.known(group)
