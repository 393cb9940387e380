"""The client against a server on loopback, and a real nxagent shown by a real nxproxy on Xvfb."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from qvdnode.cli.demo.screen import screen
from qvdnode.client.connect import Wishes, desktops_at, fingerprint_at
from qvdnode.client.core.backoff import Backoff
from qvdnode.client.nx_proxy import DIAL_LIMIT_S, StreamEnd
from qvdnode.client.target import Target
from qvdnode.client.x11_watch import WindowWatcher
from qvdnode.model.errors import Forbidden, HostFailed, NotFound, Unauthenticated, Unavailable
from tests.fakes.qvd_server import FakeQvdServer, answer
from tests.harness.nxagent import agent, relay_to
from tests.harness.screen import bare_xvfb, xvfb
from tests.integration.client.people import (
    CLOCK,
    QUICK,
    SWITCH,
    Said,
    StandIn,
    account,
    client,
    descendants,
)
from tests.waiting import until


async def test_a_login_lists_desktops(server: FakeQvdServer) -> None:
    (entry,) = await desktops_at(account(server), CLOCK)
    assert (entry.id, entry.name) == (7, "desk")
    assert "Authorization: Basic YWxpY2VAYWNtZTpzZTpjcmV0\r\n" in server.heads[0]
    assert server.connections == 1


async def test_the_password_stays_here_when_the_certificate_changed(
    server: FakeQvdServer,
) -> None:
    seen = await fingerprint_at(Target("127.0.0.1", server.port), CLOCK)
    assert await desktops_at(account(server, seen), CLOCK)
    server.heads.clear()
    with pytest.raises(Forbidden, match="nothing was sent"):
        await desktops_at(account(server, "SHA256:" + "0" * 64), CLOCK)
    assert server.heads == []


async def test_refusals_become_errors(server: FakeQvdServer) -> None:
    server.answers["/qvd/list_of_vm"] = answer(401)
    with pytest.raises(Unauthenticated):
        await desktops_at(account(server), CLOCK)
    server.answers["/qvd/list_of_vm"] = answer(503, b"The node is full, retry later.\r\n")
    with pytest.raises(Unavailable, match="The node is full"):
        await desktops_at(account(server), CLOCK)


async def test_nobody_there_is_said() -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        await fingerprint_at(Target("127.0.0.1", 1), CLOCK)


async def test_a_server_without_tls_is_said(tmp_path: Path) -> None:
    async def shout(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail ready\r\n")
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    try:
        with pytest.raises(Unavailable, match=r"TLS|cannot be reached"):
            await fingerprint_at(Target("127.0.0.1", server.sockets[0].getsockname()[1]), CLOCK)
    finally:
        server.close()


@pytest.mark.nx
async def test_a_desktop_is_shown_and_ends_with_the_server(
    server: FakeQvdServer, tmp_path: Path
) -> None:
    over, said = asyncio.Event(), Said()
    async with xvfb() as display, agent(tmp_path, 171) as port:
        relay_to(port, server, over)
        async with WindowWatcher(display, CLOCK) as watcher:
            assert await watcher.count() == 0
            showing = asyncio.create_task(client(server, display, said).run(QUICK))
            window = await watcher.wait_new(10)
            assert await watcher.windows() == (window,)
            assert (await watcher.screenshot()).startswith(b"\x89PNG")
            over.set()
            assert await showing is StreamEnd.CLOSED
    assert "Starting virtual machine" in said
    head = next(head for head in server.heads if "connect_to_vm" in head)
    assert "qvd.client.geometry=1064x666" in head
    assert "qvd.client.link=lan" in head
    assert "qvd.client.keyboard=pc105/us" in head


@pytest.mark.nx
async def test_a_desktop_is_shown_where_the_display_asks_for_a_cookie(
    server: FakeQvdServer, tmp_path: Path
) -> None:
    """The guest, whose greeting reaches the X server, has none."""
    over = asyncio.Event()
    async with screen(None) as shown, agent(tmp_path, 172) as port:
        relay_to(port, server, over)
        async with WindowWatcher(shown.display, CLOCK) as watcher:
            showing = asyncio.create_task(client(server, shown.display, Said()).run(QUICK))
            assert await watcher.wait_new(10)
            over.set()
            assert await showing is StreamEnd.CLOSED


@pytest.mark.nx
async def test_what_is_wished_goes_before_what_is_guessed(server: FakeQvdServer) -> None:
    async def goodbye(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b" ")

    server.stream = goodbye
    async with xvfb() as display:
        wishes = Wishes(
            display, "desk", fullscreen=True, geometry="640x480", keyboard="pc104/es", link="modem"
        )
        assert await client(server, display, Said(), wishes).run(QUICK) is StreamEnd.CLOSED
    head = next(head for head in server.heads if "connect_to_vm" in head)
    for asked in ("geometry=640x480", "fullscreen=1", "keyboard=pc104/es", "link=modem"):
        assert f"qvd.client.{asked}" in head


@pytest.mark.nx
async def test_a_dropped_link_is_dialled_again_and_a_takeover_is_not(
    server: FakeQvdServer, tmp_path: Path
) -> None:
    said = Said()

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b" ")
        if server.connections == 1:
            writer.transport.abort()
        elif server.connections == 2:
            server.answers["/qvd/connect_to_vm"] = answer(503, b"Not yet.")
            writer.get_extra_info("socket").shutdown(2)
        else:
            raise AssertionError("never closed with a goodbye")

    server.stream = stream
    async with xvfb() as display:
        showing = asyncio.create_task(client(server, display, said).run(QUICK))
        await until(lambda: "Not yet. Trying again." in said)

        async def goodbye(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b" ")

        server.stream = goodbye
        server.answers["/qvd/connect_to_vm"] = SWITCH
        assert await showing is StreamEnd.CLOSED
    assert sum("link dropped" in sentence for sentence in said) == 2


async def drop_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let the link go as soon as the client has greeted."""
    await reader.readuntil(b" ")
    writer.transport.abort()


async def say_goodbye(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """A server that closes once it has been greeted."""
    await reader.readuntil(b" ")


@pytest.mark.nx
async def test_zero_seconds_of_trying_are_none(server: FakeQvdServer) -> None:
    server.stream = drop_at_once
    said = Said()
    async with xvfb() as display:
        ending = await client(server, display, said).run(Backoff(give_up_s=0.0))
    assert (ending, server.connections) == (StreamEnd.DROPPED, 1)
    assert said[-1] == "Connected"


@pytest.mark.nx
async def test_a_link_that_drops_again_and_again_is_given_up(server: FakeQvdServer) -> None:
    server.stream = drop_at_once
    rising = Backoff(first_s=0.1, longest_s=5.0, give_up_s=2.0)
    async with xvfb() as display:
        ending = await client(server, display, Said()).run(rising)
    assert ending is StreamEnd.DROPPED
    # Pauses of at least 0.05, 0.1, 0.2, 0.4, 0.8... seconds; ever the first would allow dozens.
    assert 3 <= server.connections <= 8


@pytest.mark.nx
async def test_a_stream_that_lasted_begins_anew(server: FakeQvdServer) -> None:
    server.stream = drop_at_once
    lasting = Backoff(first_s=0.01, longest_s=0.01, give_up_s=0.1, settled_s=0.0)
    async with xvfb() as display:
        showing = asyncio.create_task(client(server, display, Said()).run(lasting))
        await until(lambda: server.connections > 20 or showing.done(), limit_s=30)
        assert not showing.done()
        server.stream = say_goodbye
        assert await showing is StreamEnd.CLOSED


@pytest.mark.nx
async def test_an_error_that_cannot_be_repaired_ends_the_waiting(server: FakeQvdServer) -> None:
    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b" ")
        server.answers["/qvd/connect_to_vm"] = answer(404, b"There is no desktop 7.")
        writer.transport.abort()

    server.stream = drop
    async with xvfb() as display:
        with pytest.raises(NotFound):
            await client(server, display, Said()).run(QUICK)


@pytest.mark.nx
@pytest.mark.parametrize("hung", [False, True])
async def test_a_cancelled_client_leaves_no_process(server: FakeQvdServer, hung: bool) -> None:
    arrived = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b" ")
        arrived.set()
        await reader.read()

    server.stream = hold
    async with xvfb() as display:
        showing = asyncio.create_task(client(server, display, Said()).run(QUICK))
        async with asyncio.timeout(30):
            await arrived.wait()
        if hung:
            for pid in descendants("nxproxy"):
                os.kill(pid, signal.SIGSTOP)
        showing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await showing
    assert not descendants("nxproxy")


async def test_an_nxproxy_that_ends_at_once_is_told_at_once(
    server: FakeQvdServer, stand_in: StandIn
) -> None:
    stand_in("echo cannot open display >&2; exit 3")
    async with bare_xvfb() as display, asyncio.timeout(DIAL_LIMIT_S / 2):
        with pytest.raises(HostFailed, match=r"ended at once \(3\): cannot open display"):
            await client(server, display, Said()).run(QUICK)


async def test_without_nxproxy_nobody_is_disturbed(
    server: FakeQvdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostFailed, match="apt install nxproxy"):
        await client(server, ":9", Said()).run(QUICK)
    assert server.connections == 0


DEAF = """\
import re, socket, sys, time
path = re.search("unix:(.*):", sys.argv[2])[1]
us = socket.socket(socket.AF_UNIX)
us.connect(path)
us.sendall(b"NXPROXY-3.5.0 ")
us.shutdown(socket.SHUT_RD)
time.sleep(60)
"""


async def test_an_nxproxy_that_takes_nothing_more_is_no_dropped_link(
    server: FakeQvdServer, stand_in: StandIn, tmp_path: Path
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b" ")
        while True:
            writer.write(b"picture")
            await writer.drain()
            await asyncio.sleep(0.01)

    server.stream = talk
    (tmp_path / "deaf.py").write_text(DEAF)
    stand_in(f'exec python3 {tmp_path}/deaf.py "$@"')
    async with bare_xvfb() as display:
        assert await client(server, display, Said()).run(QUICK) is StreamEnd.LEFT
    assert sum("/qvd/connect_to_vm" in head for head in server.heads) == 1
    assert "/qvd/session_end" in server.heads[-1]
    await until(lambda: server.ended == 2)


HELPED = """\
import re, socket, subprocess, sys, time
subprocess.Popen(["sleep", "60.0407"])
path = re.search("unix:(.*):", sys.argv[2])[1]
us = socket.socket(socket.AF_UNIX)
us.connect(path)
us.sendall(b"NXPROXY ")
us.recv(1)
"""


async def test_a_helper_that_nxproxy_leaves_behind_ends_with_it(
    server: FakeQvdServer, stand_in: StandIn, tmp_path: Path
) -> None:
    """As the one that tidies its cache does when it comes up while nxproxy ends."""
    seen: list[int] = []

    async def end(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b" ")
        seen.extend(descendants("sleep"))

    server.stream = end
    (tmp_path / "helped.py").write_text(HELPED)
    stand_in(f'exec python3 {tmp_path}/helped.py "$@"')
    async with bare_xvfb() as display:
        await client(server, display, Said()).run(QUICK)
    assert seen
    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in seen))
