"""Dialling a name some of whose addresses lead nowhere."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qvdnode.client import qvd_link
from qvdnode.client.target import Target
from qvdnode.client.trust import Trust
from qvdnode.runtime.clock import SystemClock
from tests.fakes.qvd_server import fake_qvd_server

NAME = "desktops.example.org"
PATIENCE_S = 5.0


@contextlib.contextmanager
def black_hole(address: str, port: int) -> Iterator[None]:
    """An address where connections are neither made nor refused: its queue is full."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(2):
            visitor = held.enter_context(socket.socket())
            visitor.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                visitor.connect((address, port))
        yield


async def test_an_address_that_is_silent_does_not_hide_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(host: str, port: int, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        assert host == NAME
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("127.0.0.2", "127.0.0.1")
        ]

    async with fake_qvd_server(tmp_path) as server:
        monkeypatch.setattr(socket, "getaddrinfo", found)
        with black_hole("127.0.0.2", server.port):
            async with (
                asyncio.timeout(PATIENCE_S),
                await qvd_link.dial(Target(NAME, server.port), Trust(), SystemClock()) as link,
            ):
                assert link.fingerprint
                assert link.writer.get_extra_info("peername")[0] == "127.0.0.1"
