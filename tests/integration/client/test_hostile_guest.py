"""A guest that sends what it likes into a real nxproxy, started by the client."""

import asyncio
import random
import tempfile
from pathlib import Path

import pytest

from qvdnode.client.nx_proxy import StreamEnd
from qvdnode.model.errors import HostFailed
from tests.fakes.qvd_server import FakeQvdServer
from tests.harness import nx_peer
from tests.harness.nx_peer import ALERT, CHANNELS, DROP, GREETING, NEW_X, SWITCH, control, frame
from tests.harness.screen import bare_xvfb
from tests.integration.client.people import QUICK, Said, client, descendants
from tests.waiting import until

pytestmark = pytest.mark.nx
NOISE = random.Random(7).randbytes(20_000)
CHANNEL = 9
SPOKEN_S = 1.0
NO_GREETINGS = {
    "noise": NOISE,
    "a version without end": b"NXPROXY-" + b"9" * 5_000 + b" ",
    "an option without end": b"NXPROXY-3.5.0-3.5.99 link=LAN,type=" + b"A" * 480 + b" ",
}
STREAMS = {
    "noise": GREETING + NOISE,
    "noise in a channel": GREETING + control(NEW_X, 1) + control(SWITCH, 1) + NOISE,
    "a frame of 4 GiB": GREETING + b"\x8f\xff\xff\xff\x7f" + NOISE,
    "a frame of 1 GiB in a channel": (
        GREETING + control(NEW_X, 1) + control(SWITCH, 1) + frame(NOISE, 1 << 30)
    ),
    "alerts": GREETING + control(ALERT, 20) * 200,
    "its cache": GREETING + control(nx_peer.SAVE, 0) + control(nx_peer.LOAD, 0),
    "statistics": GREETING + control(nx_peer.STATISTICS, 1) * 100,
    "no more listeners": GREETING + control(nx_peer.FINISH_LISTENERS, 0),
}


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the client keeps its files meanwhile."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


async def speak(server: FakeQvdServer, said: bytes, answer: bytes = b"") -> tuple[bytes, StreamEnd]:
    """Say that to nxproxy; what it said until `answer` or the limit, and how the client ended."""
    heard = bytearray()

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.readuntil(b" "))
        writer.write(said)
        try:
            async with asyncio.timeout(SPOKEN_S * (10 if answer else 1)):
                while not answer or answer not in heard:
                    piece = await reader.read(65_536)
                    if not piece:
                        return
                    heard.extend(piece)
        except TimeoutError:
            return

    server.stream = stream
    async with bare_xvfb() as display:
        ending = await client(server, display, Said()).run(QUICK)
    return bytes(heard), ending


@pytest.mark.parametrize("kind", NO_GREETINGS)
async def test_what_is_no_greeting_is_told(
    server: FakeQvdServer, temporary: Path, kind: str
) -> None:
    with pytest.raises(HostFailed, match="cannot read what the desktop sent"):
        await speak(server, NO_GREETINGS[kind])
    await nothing_is_left(temporary)


@pytest.mark.parametrize("kind", STREAMS)
async def test_the_client_ends_cleanly(server: FakeQvdServer, temporary: Path, kind: str) -> None:
    try:
        await speak(server, STREAMS[kind])
    except HostFailed as error:
        assert "the desktop sent" in str(error)  # noqa: PT017 - a crash is one of two good ends
    await nothing_is_left(temporary)


@pytest.mark.parametrize("kind", CHANNELS)
async def test_no_channel_but_the_displays_is_opened(
    server: FakeQvdServer, temporary: Path, kind: str
) -> None:
    refusal = control(DROP, CHANNEL)
    heard, ending = await speak(server, GREETING + control(CHANNELS[kind], CHANNEL), refusal)
    assert heard.endswith(refusal)
    assert ending is StreamEnd.CLOSED
    await nothing_is_left(temporary)


async def nothing_is_left(temporary: Path) -> None:
    """No process and no file."""
    await until(lambda: not descendants("nxproxy") + descendants("bwrap"))
    assert list(temporary.iterdir()) == []
