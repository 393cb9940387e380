"""The recorded dialogues of the three client families, played over TLS against a real endpoint."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.desktops import vm
from tests.integration.broker.clients import GREETING, LIMIT_S, Client, Place, patient, place
from tests.unit.wire import transcripts

PROGRESS = b"HTTP/1.1 102 "
Cut = Callable[[bytes], Iterator[bytes]]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Place]:
    """An endpoint that knows the user, the token and the desktop of the transcripts."""
    async with place(tmp_path, patient()) as made:
        made.authenticator.passwords = {"alice": "secret"}
        made.authenticator.tokens = {"token": "alice"}
        made.desktops.vms = {7: replace(vm(7), name="desk")}
        made.desktops.sentences = ("Starting virtual machine",)
        yield made


def exchanges(name: str) -> Iterator[tuple[bytes, bytes]]:
    """What the client says at once, and the node's final answer to it."""
    said, answer = b"", b""
    for step in transcripts.read(name):
        match step.kind:
            case "C>":
                if said:
                    yield said, answer
                said, answer = step.data, b""
            case "S>" if not step.data.startswith(PROGRESS):
                answer = step.data
            case _:
                pass
    yield said, answer


async def heard(client: Client, length: int) -> bytes:
    """The final answer, once all progress has been told."""
    async with asyncio.timeout(LIMIT_S):
        while (head := await client.head()).startswith(PROGRESS):
            assert head.count(b"\r\n") == 3
        return head + await client.reader.readexactly(max(0, length - len(head)))


async def play(here: Place, name: str, cut: Cut) -> None:
    """A whole dialogue on one connection; each piece of it goes in a TLS record of its own."""
    client = await here.client()
    for said, answer in exchanges(name):
        for piece in cut(said):
            client.say(piece)
        assert await heard(client, len(answer)) == answer
    client.say(GREETING)
    await here.display.next()
    client.vanish()


@pytest.mark.parametrize("name", transcripts.NAMES)
async def test_a_dialogue_goes_as_recorded(here: Place, name: str) -> None:
    await play(here, name, lambda said: iter([said]))


@pytest.mark.parametrize("name", transcripts.NAMES)
async def test_it_goes_the_same_byte_by_byte(here: Place, name: str) -> None:
    await play(here, name, lambda said: (said[at : at + 1] for at in range(len(said))))


@pytest.mark.parametrize("name", transcripts.NAMES)
async def test_it_goes_the_same_split_at_every_byte_boundary(here: Place, name: str) -> None:
    client = await here.client()
    for said, answer in exchanges(name):
        if answer.startswith(b"HTTP/1.1 101 "):
            continue  # a connection upgrades once; byte by byte splits that head everywhere
        for at in range(1, len(said)):
            client.say(said[:at])
            client.say(said[at:])
            assert await heard(client, len(answer)) == answer
    client.vanish()
