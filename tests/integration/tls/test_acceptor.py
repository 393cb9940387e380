"""Connections are accepted while there is room and descriptors; until then they wait."""

import asyncio
import contextlib
import logging
import os
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import pytest

from qvdnode.model.errors import HostFailed
from qvdnode.tls.acceptor import ACCEPTED_AT_ONCE, Acceptor, listen
from tests.waiting import until

ROOM = 50


class Greeter(asyncio.Protocol):
    """Says one byte to whoever is accepted."""

    def __init__(self, opened: "set[Greeter]") -> None:
        self._opened = opened
        opened.add(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        cast(asyncio.Transport, transport).write(b"!")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._opened.discard(self)


class Port:
    """An acceptor with room for so many."""

    def __init__(self) -> None:
        self.asked = 0
        self.opened: set[Greeter] = set()
        self.listener = listen("127.0.0.1", 0, section="tests")
        self.number = int(self.listener.getsockname()[1])
        self.acceptor = Acceptor(self.listener, lambda: Greeter(self.opened), self.has_room)

    def has_room(self) -> bool:
        """Whether there is, counting who asks."""
        self.asked += 1
        return len(self.opened) < ROOM


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    made = Port()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(made.acceptor.run())
        yield made
        running.cancel()
    assert made.listener.fileno() == -1


@pytest.fixture
def keep() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def dial(port: Port, keep: contextlib.ExitStack) -> socket.socket:
    return keep.enter_context(socket.create_connection(("127.0.0.1", port.number), timeout=5))


async def greeting(dialled: socket.socket) -> bytes:
    return await asyncio.to_thread(dialled.recv, 1)


def test_a_taken_port_is_told_with_its_setting() -> None:
    with listen("127.0.0.1", 0, section="admin") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(HostFailed, match=rf"\[admin\].*port {port}: .*\[admin\]"):
            listen("127.0.0.1", port, section="admin")


async def test_what_has_no_room_waits_until_there_is(
    port: Port, keep: contextlib.ExitStack
) -> None:
    dialled = [dial(port, keep) for _ in range(ROOM + 3 * ACCEPTED_AT_ONCE)]
    await until(lambda: len(port.opened) >= ROOM)
    asked = port.asked
    await until(lambda: port.asked > asked + 5)  # it has looked for room again and again
    assert ROOM <= len(port.opened) < ROOM + ACCEPTED_AT_ONCE
    for one in dialled[:-1]:
        one.close()
    assert await greeting(dialled[-1]) == b"!"


async def test_a_host_without_descriptors_is_asked_again(
    port: Port, keep: contextlib.ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    assert await greeting(dial(port, keep)) == b"!"
    dialled = socket.socket()
    keep.enter_context(dialled)
    dialled.settimeout(5)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    caplog.set_level(logging.WARNING)
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    free = [os.open("/dev/null", os.O_RDONLY) for _ in range(highest + 2)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        dialled.connect(("127.0.0.1", port.number))
        await until(lambda: "accept_failed" in caplog.messages)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for one in free:
            os.close(one)
    assert await greeting(dialled) == b"!"
    assert caplog.messages.count("accept_failed") == 1
