"""What a client can do to a TLS stream beside sending data."""

import asyncio
from pathlib import Path

import pytest

from qvdnode.runtime.clock import SystemClock
from qvdnode.tls.identity import NodeIdentity
from qvdnode.tls.stream import UNREAD_BYTES_MAX
from tests.harness.tls_attacker import TlsAttacker
from tests.integration.tls.echo import Echo, echoing
from tests.waiting import until

ANSWER_BYTES = 20
"""An answer to an update of keys is longer than that."""


@pytest.fixture
def identity(tmp_path: Path) -> NodeIdentity:
    made = NodeIdentity(tmp_path, SystemClock())
    made.ensure(["localhost"])
    return made


async def test_a_client_that_asks_for_new_keys_and_reads_nothing_is_closed(
    identity: NodeIdentity,
) -> None:
    ended: list[Echo] = []

    def flood(port: int) -> None:
        with TlsAttacker(port) as attacker:
            assert attacker.shake_hands()
            # What the kernel's buffers take of the answers does not wait in the node.
            for _ in range(20 * UNREAD_BYTES_MAX // ANSWER_BYTES // 1_000):
                attacker.send(attacker.update_keys(1_000))

    async with echoing(identity.context, ended.append) as port:
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await asyncio.to_thread(flood, port)
        await until(lambda: ended, what="the end of the connection")
        assert ended[0].stream.broken == "it reads no answers"


async def test_a_client_may_ask_for_new_keys(identity: NodeIdentity) -> None:
    def ask(port: int) -> None:
        with TlsAttacker(port) as attacker:
            assert attacker.shake_hands()
            for _ in range(20):
                attacker.send(attacker.update_keys(100))

    async with echoing(identity.context) as port:
        await asyncio.to_thread(ask, port)


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What Python would print although nobody can catch it."""
    seen: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", seen.append)
    return seen


@pytest.mark.parametrize("name", [b"a\xff\xfeb", b"\x1b[2J\n", b"." * 250, b"xn--\xe9", b"node"])
async def test_any_name_in_a_hello_is_served_and_writes_no_line(
    identity: NodeIdentity, unraisable: list[object], name: bytes
) -> None:
    def dial(port: int) -> bool:
        with TlsAttacker(port, name) as attacker:
            return attacker.shake_hands()

    async with echoing(identity.context) as port:
        assert await asyncio.to_thread(dial, port)
    assert unraisable == []
