import os

from qvdnode.host import process
from qvdnode.host.process_memory import pss_bytes, with_children


async def test_a_process_takes_something_and_one_that_is_gone_nothing() -> None:
    assert pss_bytes(os.getpid()) > 10 << 20
    assert pss_bytes(0) == 0


async def test_children_are_listed() -> None:
    child = await process.launch(["sleep", "60"])
    try:
        assert {os.getpid(), child.pid} <= with_children(os.getpid())
    finally:
        await process.end(child, grace_s=0)
    assert child.pid not in with_children(os.getpid())
    assert with_children(0) == set()
