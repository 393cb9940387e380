import asyncio
import errno
import os
import signal

import pytest

from qvdnode.host import pidfd, process


async def test_a_process_is_named_by_pid_and_start() -> None:
    child = await process.launch(["sleep", "60"])
    ticks = pidfd.start_ticks(child.pid)
    assert ticks is not None
    assert not pidfd.send(child.pid, signal.SIGTERM, ticks + 1)
    waiting = asyncio.get_running_loop().create_task(pidfd.wait_gone(child.pid, ticks))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert pidfd.send(child.pid, signal.SIGTERM, ticks)
    async with asyncio.timeout(30):
        await waiting
    await child.wait()
    assert pidfd.start_ticks(child.pid) is None
    assert pidfd.open_process(child.pid) is None
    await pidfd.wait_gone(child.pid, ticks)


async def test_a_corpse_counts_as_gone() -> None:
    child = await process.launch(["true"])
    await child.wait()
    assert not pidfd.send(child.pid, signal.SIGTERM)


async def test_a_number_that_lives_on_as_that_of_a_session_is_of_no_process() -> None:
    child = await process.launch(["sh", "-c", "sleep 60 & exit 0"])
    try:
        await child.wait()
        assert pidfd.open_process(child.pid) is None
        assert not pidfd.send(child.pid, signal.SIGTERM)
    finally:
        os.killpg(child.pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [errno.ESRCH, errno.EINVAL])
def test_both_ways_of_kernels_to_say_gone_are_heard(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_pid: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pidfd_open", refuse)
    assert pidfd.open_process(os.getpid()) is None


def test_our_own_process_is_in_our_namespace() -> None:
    assert pidfd.guest_pid(os.getpid()) is None
