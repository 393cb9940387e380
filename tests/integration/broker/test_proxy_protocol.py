"""Clients behind a load balancer that names them by PROXY protocol."""

import asyncio
import logging
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.broker.settings import BrokerSettings
from tests.integration.broker.clients import LIMIT_S, Client, Place, place, request
from tests.waiting import until

BEHIND = BrokerSettings(proxy_protocol_from=("127.0.0.0/8",))
HEADS = {
    "version 1": b"PROXY TCP4 203.0.113.7 10.0.0.1 56324 8443\r\n",
    "version 2": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"
    + bytes([203, 0, 113, 7, 10, 0, 0, 1])
    + b"\xdc\x04\x20\xfb",
}


async def balanced(here: Place, head: bytes) -> Client:
    """A client behind a balancer that sends this first."""
    tcp = socket.create_connection(("127.0.0.1", here.port))
    tcp.sendall(head)
    tcp.setblocking(False)
    return await here.client(tcp)


@pytest.mark.parametrize("version", HEADS)
async def test_the_client_counts_by_the_address_that_its_balancer_names(
    tmp_path: Path, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with place(tmp_path, BEHIND) as here:
        client = await balanced(here, HEADS[version])
        assert (await client.answer(request("list_of_vm")))[0] == 200
        assert (await client.answer(request("connect_to_vm?")))[0] == 422
    [line] = [one for one in caplog.records if one.message == "user_request_refused"]
    assert vars(line)["sources"] == "203.0.113.7"


async def test_connections_are_limited_by_the_client_and_not_by_the_balancer(
    tmp_path: Path,
) -> None:
    settings = replace(BEHIND, unauthenticated_per_source=2)
    async with place(tmp_path, settings) as here:
        others = [
            await balanced(here, f"PROXY TCP4 203.0.113.{n} 10.0.0.1 1 2\r\n".encode())
            for n in range(5)
        ]
        crowd = [await balanced(here, HEADS["version 1"].replace(b".7 ", b".99 ")) for _ in "abc"]
        assert await crowd[0].ended() == b""
        for client in [*others, *crowd[1:]]:
            assert (await client.answer(request("list_of_vm")))[0] == 200


async def first_bytes(here: Place, data: bytes) -> None:
    """Send this and wait for the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
    here.writers.append(writer)
    writer.write(data)
    async with asyncio.timeout(LIMIT_S):
        try:
            assert await reader.read() == b""
        except ConnectionError:
            return


@pytest.mark.parametrize(
    ("settings", "data", "event"),
    [
        (BrokerSettings(), HEADS["version 1"], "proxy_head_unexpected"),
        (BrokerSettings(), HEADS["version 2"], "proxy_head_unexpected"),
        (BEHIND, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "proxy_head_missing"),
        (BEHIND, b"PROXY TCP4 here there 1 2\r\n", "proxy_head_bad"),
    ],
)
async def test_a_wrong_start_makes_one_line_that_names_it(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    settings: BrokerSettings,
    data: bytes,
    event: str,
) -> None:
    caplog.set_level(logging.INFO)
    async with place(tmp_path, settings) as here:
        for _ in range(3):
            await first_bytes(here, data)
        await until(lambda: event in caplog.messages)
    [line] = [vars(one) for one in caplog.records if one.message == event]
    assert line["sources"] == "127.0.0.1"
    assert "PROXY protocol head" in line["because"]
