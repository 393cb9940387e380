"""Several servers of one farm: the first one that answers is used."""

import asyncio
import random
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.client.connect import Client, Wishes, desktops_at
from qvdnode.client.nx_proxy import StreamEnd
from qvdnode.client.servers import Server, dial_first
from qvdnode.client.target import Target
from qvdnode.client.trust import Trust
from qvdnode.model.errors import Forbidden, Unavailable
from tests.fakes.qvd_server import FakeQvdServer, answer, fake_qvd_server
from tests.harness.screen import xvfb
from tests.integration.client.people import CLOCK, QUICK, Said, account

ANOTHER = "SHA256:" + "0" * 64


def at(port: int, pin: str | None = None) -> Server:
    return Server(Target("127.0.0.1", port), Trust(pin))


async def test_the_first_is_used_while_it_answers(server: FakeQvdServer) -> None:
    reached = await dial_first([at(server.port), at(1)], CLOCK)
    reached.link.writer.transport.abort()
    assert (reached.server, reached.problems) == (at(server.port), ())


async def test_another_is_asked_when_the_first_refuses(server: FakeQvdServer) -> None:
    reached = await dial_first([at(1), at(server.port)], CLOCK)
    reached.link.writer.transport.abort()
    assert reached.server == at(server.port)
    (problem,) = reached.problems
    assert "127.0.0.1:1 cannot be reached" in str(problem)


async def test_another_is_asked_beside_one_that_is_silent(server: FakeQvdServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # nobody takes what is connected
        began_s = CLOCK.monotonic_s()
        reached = await dial_first([at(silent.getsockname()[1]), at(server.port)], CLOCK)
        reached.link.writer.transport.abort()
        assert reached.server == at(server.port)
        assert CLOCK.monotonic_s() - began_s < 10  # the silent one would be given up after 15 s


async def test_a_certificate_that_changed_is_told_before_one_who_is_away(
    server: FakeQvdServer,
) -> None:
    with pytest.raises(Forbidden, match="not the one expected"):
        await dial_first([at(1), at(server.port, ANOTHER)], CLOCK)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 cannot be reached"):
        await dial_first([at(1), at(2)], CLOCK)
    assert server.heads == []


async def test_a_list_of_desktops_comes_from_any(server: FakeQvdServer) -> None:
    away = replace(account(server), target=Target("127.0.0.1", 1), others=(at(server.port),))
    (entry,) = await desktops_at(away, CLOCK)
    assert entry.name == "desk"


@pytest.mark.nx
async def test_a_client_goes_on_at_another_node(server: FakeQvdServer, tmp_path: Path) -> None:
    """Its own is gone when the link drops; the password is not asked for again."""
    said = Said()
    async with fake_qvd_server(tmp_path) as own, xvfb() as display:
        own.answers.update(server.answers)
        closed = asyncio.Event()

        async def dropped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b" ")
            own.answers["/qvd/connect_to_vm"] = answer(503, b"This node stops.\r\n")
            writer.transport.abort()

        async def goodbye(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b" ")
            closed.set()

        own.stream, server.stream = dropped, goodbye
        both = replace(account(own), others=(at(server.port),))
        shown = Client(both, Wishes(display, "desk"), said, CLOCK, random.Random(1))
        assert await shown.run(QUICK) is StreamEnd.CLOSED
        assert closed.is_set()
    assert any("This node stops." in line for line in said)
    assert "Authorization: Basic" in server.heads[0]
