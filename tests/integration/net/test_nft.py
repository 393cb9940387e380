"""What happens when the kernel's packet filter does not answer, and when it answers late."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import nftables  # type: ignore[import-untyped] # the binding has no types
import pytest
from prometheus_client import REGISTRY

from qvdnode.model.errors import HostFailed
from qvdnode.model.ids import VmId
from qvdnode.net.nft import Nft, RulesTimedOut
from tests.fixtures_netns import Lab
from tests.integration.net.test_bridge import ruleset
from tests.waiting import until

LIMIT_S = 0.3
TABLES = {"tables": None}


class HangingLibrary:
    """libnftables whose calls wait, before they ask the kernel, for as long as they are told to."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()
        self.contexts = 0

    def open(self) -> "HangingContext":
        """What `nftables.Nftables()` is."""
        self.contexts += 1
        return HangingContext(self.answers)


class HangingContext:
    """One context of it."""

    def __init__(self, answers: threading.Event) -> None:
        self._answers = answers
        self._real = nftables.Nftables()

    def set_handle_output(self, on: bool) -> None:
        """As the binding has it."""
        self._real.set_handle_output(on)

    def json_cmd(self, root: dict[str, Any]) -> tuple[int, Any, str]:
        """Wait, then do it."""
        self._answers.wait()
        code, output, error = self._real.json_cmd(root)
        return code, output, error


@pytest.fixture
def library() -> Iterator[HangingLibrary]:
    made = HangingLibrary()
    yield made
    made.answers.set()


def timeouts() -> float:
    """How many calls were abandoned until now."""
    return REGISTRY.get_sample_value("qvdnode_nft_timeouts_total") or 0.0


@pytest.mark.nftables
async def test_a_call_that_hangs_is_told_of_before_it_is_abandoned(
    library: HangingLibrary,
) -> None:
    nft = Nft(library.open, limit_s=60)
    await nft.listing(TABLES)
    library.answers.clear()
    call = asyncio.ensure_future(nft.listing(TABLES))
    await until(lambda: nft.refusal() is not None, what="it to be told")
    assert not call.done()
    library.answers.set()
    await call
    assert nft.refusal() is None


@pytest.mark.nftables
async def test_a_call_that_hangs_is_abandoned_and_the_next_one_works(
    library: HangingLibrary,
) -> None:
    nft, before = Nft(library.open, limit_s=LIMIT_S), timeouts()
    await nft.listing(TABLES)
    assert nft.refusal() is None
    library.answers.clear()
    for _ in range(2):
        with pytest.raises(RulesTimedOut, match="did not answer within"):
            await nft.listing(TABLES)
        assert "does not answer" in (nft.refusal() or "")
    assert timeouts() == before + 2
    library.answers.set()
    await until(lambda: nft.late_returns == 2, what="the abandoned calls to return")
    assert nft.refusal() is not None
    await nft.listing(TABLES)
    assert nft.refusal() is None
    assert library.contexts == 3


async def test_a_library_that_is_missing_is_named() -> None:
    def missing() -> None:
        raise OSError("libnftables.so.1: cannot open shared object file")

    with pytest.raises(HostFailed, match="install the package libnftables1"):
        await Nft(missing).listing(TABLES)


@pytest.mark.nftables
async def test_a_caller_that_is_cancelled_leaves_the_library_to_nobody_else_meanwhile(
    library: HangingLibrary,
) -> None:
    nft = Nft(library.open, limit_s=LIMIT_S)
    library.answers.clear()
    first = asyncio.ensure_future(nft.listing(TABLES))
    await until(lambda: library.contexts == 1)
    first.cancel()
    second = asyncio.ensure_future(nft.listing(TABLES))
    with pytest.raises(asyncio.CancelledError):
        await first
    assert library.contexts == 1 or nft.refusal() is not None
    library.answers.set()
    await second


@pytest.mark.nftables
async def test_a_change_that_takes_effect_late_is_put_right(
    bare_lab: Lab, library: HangingLibrary
) -> None:
    lab = bare_lab
    lab.nft = Nft(library.open, limit_s=LIMIT_S)
    lab.rebuild()
    await lab.begin()
    guest = await lab.plug(1)
    before = ruleset(lab)
    port = await lab.confinement.reserve(VmId(2), egress=True)
    library.answers.clear()
    with pytest.raises(RulesTimedOut):
        await lab.confinement.confine(port)
    library.answers.set()
    await until(lambda: lab.nft.late_returns == 1)
    assert f'"{port.link}"' in ruleset(lab)
    assert await lab.confinement.check()
    assert ruleset(lab) == before
    assert f'"{guest.port.link}"' in ruleset(lab)
    assert not await lab.confinement.check()


@pytest.mark.nftables
async def test_a_change_that_takes_effect_after_the_rules_were_settled_is_put_right(
    bare_lab: Lab, library: HangingLibrary
) -> None:
    lab = bare_lab
    lab.nft = Nft(library.open, limit_s=LIMIT_S)
    lab.rebuild()
    await lab.begin()
    before = ruleset(lab)
    port = await lab.confinement.reserve(VmId(2), egress=True)
    stuck = library.answers = threading.Event()
    lab.nft._context = None  # the next call gets a context that waits for this event
    with pytest.raises(RulesTimedOut):
        await lab.confinement.confine(port)
    library.answers = threading.Event()
    library.answers.set()
    assert await lab.confinement.check()
    assert not await lab.confinement.check()
    assert ruleset(lab) == before
    stuck.set()
    await until(lambda: lab.nft.late_returns == 1)
    assert ruleset(lab) != before
    assert await lab.confinement.check()
    assert ruleset(lab) == before


PROGRAM = """
import asyncio, time
from qvdnode.net.nft import Nft, RulesTimedOut

class Hanging:
    def set_handle_output(self, on): pass
    def json_cmd(self, root): time.sleep(600)

async def main():
    try:
        await Nft(Hanging, limit_s=0.2).listing({"tables": None})
    except RulesTimedOut:
        print("ended")

asyncio.run(main())
"""


def test_a_process_ends_although_a_call_hangs() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    assert finished.stdout == "ended\n"
