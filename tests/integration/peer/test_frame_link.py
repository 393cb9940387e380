"""A connection between two nodes when the other end misbehaves."""

import asyncio
import time

import pytest

from qvdnode.model.errors import Unavailable
from qvdnode.model.seat import (
    Progressed,
)
from qvdnode.peer import calls
from qvdnode.wire.peer_frames import (
    FRAME_MAX_BYTES,
    Answer,
    Call,
    Notice,
    Ping,
    encode,
)
from tests.integration.peer.two_nodes import (
    QUICK,
    THIRD,
    VM,
    Farm,
    because,
    passes,
    raw_connection,
    viewer,
)
from tests.waiting import until


async def test_a_silent_node_is_noticed(farm: Farm, caplog: pytest.LogCaptureFixture) -> None:
    async with farm.owner() as owner:
        assert await farm.host.status(VM) is None
        [(connection, _)] = farm.network.accepted
        assert connection.pipe.stream.transport is not None
        connection.pipe.stream.transport.pause_reading()  # as if its process were stopped
        before_s = time.monotonic()
        # Neither end hears the other one; whichever notices first closes the connection.
        silent = r"it was silent for 0.5 seconds|the other node closed the connection"
        with pytest.raises(Unavailable, match=silent):
            await farm.host.statuses()
        assert time.monotonic() - before_s < 5
        assert "it was silent for 0.5 seconds" in because(caplog, "peer_dropped")
        assert len(owner.seats) == 0


async def test_a_node_that_was_slow_itself_accuses_nobody(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    async with farm.owner():
        assert await farm.host.status(VM) is None
        blocked_s = time.monotonic() + 2
        while time.monotonic() < blocked_s:
            pass  # the loop of both nodes stands still
        assert await farm.host.status(VM) is None
        await passes(2 * QUICK.ping_every_s)
        assert await farm.host.status(VM) is None
    assert "it was silent for 0.5 seconds" not in because(caplog, "peer_dropped")


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ((FRAME_MAX_BYTES + 1).to_bytes(4), "a frame of 4194305 bytes; 4194304 are the most"),
        (b"\0\0\0\1\xc1", "not msgpack"),
        (b"\0\0\0\x10never ended", "it did not end a frame in 0.3 seconds"),
        (b"", "it was silent for 0.5 seconds"),
        (encode(Answer(1, None)), "an answer to what was not asked"),
        (encode(Notice(calls.DETACHED, {"vm_id": "x"})), "detached: generation: missing"),
        (encode(Call(1, "stop", {"vm_id": 7})) * 2, "two calls of one id"),
    ],
)
async def test_a_node_that_sends_what_it_must_not_is_dropped(
    farm: Farm, caplog: pytest.LogCaptureFixture, sent: bytes, reason: str
) -> None:
    async with farm.owner():
        farm.fleet.hold()
        connection = await raw_connection(farm)
        connection.pipe.write(sent)
        async with asyncio.timeout(30):
            await connection.pipe.closed()
        await until(lambda: any(reason in one for one in because(caplog, "peer_dropped")))
        assert await farm.host.status(VM) is None
        farm.fleet.let_go()


async def test_a_node_that_dribbles_a_frame_is_dropped(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    async with farm.owner():
        connection = await raw_connection(farm)
        connection.pipe.write((1000).to_bytes(4))

        def dropped() -> bool:
            connection.pipe.write(b"x")
            return bool(because(caplog, "peer_dropped"))

        await until(dropped)
        assert because(caplog, "peer_dropped") == ["it did not end a frame in 0.3 seconds"]


async def test_a_node_that_takes_nothing_is_dropped(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    async with farm.owner() as owner:
        connection = await raw_connection(farm)
        connection.pipe.write(encode(Notice(calls.HELD, {"seats": []})))
        await until(lambda: THIRD in owner.service._links)
        transport = connection.pipe.stream.transport
        assert transport is not None
        transport.pause_reading()

        def dropped() -> bool:
            connection.pipe.write(encode(Ping(1)))  # not silent
            for _ in range(64):
                owner.service.tell(THIRD, Progressed(viewer(node=THIRD), "x" * 60_000))
            return bool(because(caplog, "peer_dropped"))

        await until(dropped)
        assert because(caplog, "peer_dropped") == ["it does not take what it is sent"]
        connection.pipe.abort()
