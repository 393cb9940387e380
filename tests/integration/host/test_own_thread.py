"""Work that changes its thread, or hangs, touches nothing else."""

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from qvdnode.host import linux_calls
from qvdnode.host.network_namespaces import OWN
from qvdnode.host.own_thread import in_own_thread
from qvdnode.model.errors import HostFailed

HANGS = """
import asyncio, threading
from qvdnode.host.own_thread import in_own_thread
async def main():
    in_own_thread(threading.Event().wait, name="hangs")
asyncio.run(main())
"""


async def test_the_result_comes_back() -> None:
    assert await in_own_thread(lambda: threading.current_thread().name, name="mine") == "mine"


@pytest.mark.parametrize("error", [OSError(5, "gone"), HostFailed("gone")])
async def test_the_error_comes_back(error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error), match="gone"):
        await in_own_thread(fail, name="fails")


async def test_what_it_does_to_its_thread_no_other_work_meets() -> None:
    def elsewhere() -> Path:
        linux_calls.unshare_network()
        return OWN.readlink()

    before = OWN.readlink()
    there = await in_own_thread(elsewhere, name="elsewhere")
    assert there != before
    looks = [asyncio.to_thread(OWN.readlink) for _ in range(2 * (os.cpu_count() or 1) + 8)]
    assert {OWN.readlink(), *await asyncio.gather(*looks)} == {before}


async def test_a_caller_that_goes_does_not_disturb_it() -> None:
    go_on, ended = threading.Event(), threading.Event()

    def work() -> None:
        go_on.wait(10)
        ended.set()

    call = in_own_thread(work, name="forgotten")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    go_on.set()
    assert await asyncio.to_thread(ended.wait, 10)


def test_the_process_does_not_wait_for_it_at_its_end() -> None:
    subprocess.run([sys.executable, "-c", HANGS], check=True, timeout=60)
