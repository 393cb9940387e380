"""A guest's NX streams, damaged, into the client's nxproxy: a part of `make soak`.

Records what a real nxagent sends, then plays it some hundred times with bytes changed, lengths
blown up, pieces cut, doubled and exchanged. nxproxy may crash, which is what its sandbox is for;
the client must end each time, with a reason, and leave nothing.

    python -m tests.hostile_streams [STREAMS [SEED]]
"""

import asyncio
import contextlib
import random
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

from qvdnode.client.connect import Account, Client, Wishes
from qvdnode.client.core.backoff import Backoff
from qvdnode.client.nx_proxy import StreamEnd
from qvdnode.client.target import Target
from qvdnode.client.trust import Trust
from qvdnode.model.errors import HostFailed
from qvdnode.runtime.clock import SystemClock
from tests.fakes.qvd_server import FakeQvdServer, answer, fake_qvd_server
from tests.harness.nx_peer import CHANNELS, control
from tests.harness.nxagent import agent
from tests.harness.screen import bare_xvfb

STREAMS: Final = 300
RECORDED_S: Final = 2.0
PLAYED_S: Final = 0.4
"""nxproxy has read all of it by then; a link that stays open is closed with a goodbye."""
ENDED_S: Final = 10.0
DISPLAY: Final = 173
ROW: Final = b'[{"id": 7, "name": "desk", "state": "running", "blocked": 0}]'


async def show(server: FakeQvdServer, display: str) -> StreamEnd:
    """One run of the client; raises HostFailed for a crash of nxproxy, TimeoutError if it hangs."""
    account = Account(Target("127.0.0.1", server.port), Trust(), "alice", "secret")
    visit = Client(account, Wishes(display), lambda _: None, SystemClock(), random.Random(1))
    return await asyncio.wait_for(visit.run(Backoff(give_up_s=0)), ENDED_S)


async def record(server: FakeQvdServer, display: str, port: int) -> bytes:
    """What nxagent says to a client that shows it."""
    said = bytearray()

    async def pump(
        source: asyncio.StreamReader, sink: asyncio.StreamWriter, kept: bytearray
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(65_536):
                kept.extend(piece)
                sink.write(piece)
                await sink.drain()

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        pumps = asyncio.gather(
            pump(reader, far_writer, bytearray()), pump(far_reader, writer, said)
        )
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(pumps, RECORDED_S)
        far_writer.transport.abort()

    server.stream = stream
    await show(server, display)
    return bytes(said)


def damage(stream: bytes, chance: random.Random) -> bytes:
    """The stream with up to four wounds; mostly behind the greeting, which is soon refused."""
    body = bytearray(stream)
    after = 0 if chance.random() < 0.1 else stream.find(b"none ") + len(b"none ")
    for _ in range(chance.randint(1, 4)):
        # The early bytes say more: fewer streams would get to see later ones go wrong.
        at = min(len(body), after + int(len(body) * chance.random() ** 3))
        piece = chance.randbytes(chance.choice((1, 1, 2, 4, 64)))
        match chance.randrange(6):
            case 0 | 1:
                body[at : at + len(piece)] = piece
            case 2:
                body[at:at] = piece
            case 3:
                del body[at : at + len(piece)]
            case 4:
                body[at:at] = body[at : at + chance.randint(1, 4_096)]
            case _:
                code = chance.choice((*CHANNELS.values(), *range(35)))
                body[at:at] = control(code, chance.randrange(256))
    return bytes(body)


async def play(server: FakeQvdServer, display: str, said: bytes) -> str:
    """How the client ended with that stream, in a word or two."""

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(PLAYED_S):
                while await reader.read(65_536):
                    pass

    server.stream = stream
    try:
        ending = await show(server, display)
    except HostFailed as error:
        text = str(error)
        found = text.partition("(signal ")[2].partition(")")[0]
        return f"crashed by {signal.Signals(int(found)).name}" if found else "refused"
    return str(ending)


async def run(streams: int, seed: int) -> Counter[str]:
    """All of it on one screen; what the streams came to."""
    chance = random.Random(seed)
    came_to: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        place = Path(folder)
        async with (
            fake_qvd_server(place) as server,
            bare_xvfb() as display,
            agent(place, DISPLAY) as port,
        ):
            server.answers["/qvd/list_of_vm"] = answer(200, ROW)
            server.answers["/qvd/list_of_applications"] = answer(200, b"[]")
            server.answers["/qvd/connect_to_vm"] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
            good = await record(server, display, port)
            print(f"recorded {len(good)} bytes", flush=True)
            for number in range(streams):
                word = await play(server, display, damage(good, chance))
                came_to[word] += 1
                if word.startswith("crashed"):
                    print(f"stream {number} of seed {seed}: {word}", flush=True)
    return came_to


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    found = asyncio.run(run(*[*numbers, *(STREAMS, 1)[len(numbers) :]]))
    print(", ".join(f"{word}: {count}" for word, count in found.most_common()))
