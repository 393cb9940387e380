"""Shows an NX stream on an X display with nxproxy, over a socket that only its user can reach.

nxproxy has no password towards us, so the way in is a unix socket in a folder of mode 0700, one
connection only, and the peer must be our own user. No slave channel is offered: a guest cannot
call back into the client. What else it might do is bounded by the sandbox of sandbox.py.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import struct
import tempfile
from collections.abc import AsyncIterator, Iterator
from enum import StrEnum
from typing import IO, Final

from qvdnode.client import sandbox
from qvdnode.client.qvd_link import PIECE_BYTES, QvdLink, Streams
from qvdnode.host import process, sandbox_filter_file
from qvdnode.host.child import Child
from qvdnode.model.errors import Forbidden, HostFailed, TimedOut
from qvdnode.runtime.supervise import Supervisor
from qvdnode.runtime.time_limit import TimeLimit

PROGRAM: Final = "nxproxy"
DIAL_LIMIT_S: Final = 10.0
END_GRACE_S: Final = 1.0
LAST_WORDS: Final = 500
UNREADABLE: Final = (
    "Failure negotiating the session",
    "Failure decoding data",
    "bad control message",
)
"""Output of nxproxy for an invalid stream, after which it still exits with 0."""
SANDBOX_SIGNALS: Final = 128
DISPLAY_NUMBER: Final = 40
"""nxproxy wants one behind the last colon; with a unix socket it names nothing."""


class StreamEnd(StrEnum):
    """Why a stream ended."""

    CLOSED = "closed"
    """The server sent close_notify: the desktop was stopped, left, or opened by another client."""
    DROPPED = "dropped"
    """The connection ended without close_notify."""
    LEFT = "left"
    """nxproxy ended: its X display is gone, or the person closed it."""


def must_be_installed() -> None:
    """Raise HostFailed without nxproxy: better now than when another client has made room."""
    if shutil.which(PROGRAM) is None:
        raise HostFailed(f"{PROGRAM} is not installed; it draws the desktop: apt install {PROGRAM}")


async def show(link: QvdLink, first: bytes, display: str, *, confine: bool = True) -> StreamEnd:
    """Show the stream on the display until it ends; no process and no file is left.

    `confine` wants a machine that can; see `sandbox.problem`.
    Raises HostFailed when nxproxy is not installed, ends at once or crashes; TimedOut when it
    hangs.
    """
    async with _nxproxy(display, confine=confine) as (child, output, (reader, writer)):
        writer.write(first)
        endings: asyncio.Queue[StreamEnd] = asyncio.Queue()
        async with Supervisor("nx") as tasks:
            _ = tasks.essential("up", _from_proxy(reader, link, endings))
            _ = tasks.essential("down", _to_proxy(link, writer, endings))
            _ = tasks.essential("exit", _exit(child, endings))
            ending = await endings.get()
            tasks.cancel()
        if ending is StreamEnd.LEFT:
            await _demand_good_end(child, output)
        return ending


async def _demand_good_end(child: Child, output: IO[bytes]) -> None:
    """Raise HostFailed where nxproxy did not leave, but failed on what the desktop sent."""
    with contextlib.suppress(TimeoutError):
        async with TimeLimit(END_GRACE_S):
            await child.wait()
    # The sandbox tells a signal as a shell does, by 128 and its number.
    number = max((child.returncode or 0) - SANDBOX_SIGNALS, -(child.returncode or 0))
    if number in signal.valid_signals():
        raise HostFailed(f"{PROGRAM} crashed on what the desktop sent (signal {number}).")
    words = _output_tail(output)
    if any(sentence in words for sentence in UNREADABLE):
        raise HostFailed(f"{PROGRAM} cannot read what the desktop sent: {words}")


async def _from_proxy(
    reader: asyncio.StreamReader, link: QvdLink, endings: "asyncio.Queue[StreamEnd]"
) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(PIECE_BYTES):
            try:
                link.writer.write(piece)
                await link.writer.drain()
            except OSError:
                # The other direction knows whether close_notify came.
                return
    endings.put_nowait(StreamEnd.LEFT)


async def _to_proxy(
    link: QvdLink, writer: asyncio.StreamWriter, endings: "asyncio.Queue[StreamEnd]"
) -> None:
    while piece := await _received(link):
        try:
            writer.write(piece)
            await writer.drain()
        except OSError:
            endings.put_nowait(StreamEnd.LEFT)
            return
    endings.put_nowait(StreamEnd.CLOSED if link.got_close_notify else StreamEnd.DROPPED)


async def _received(link: QvdLink) -> bytes:
    """What the server sent; nothing once the link has ended, however it did."""
    try:
        return await link.reader.read(PIECE_BYTES)
    except OSError:
        return b""


async def _exit(child: Child, endings: "asyncio.Queue[StreamEnd]") -> None:
    await child.wait()
    endings.put_nowait(StreamEnd.LEFT)


@contextlib.asynccontextmanager
async def _nxproxy(
    display: str, *, confine: bool
) -> AsyncIterator[tuple[Child, IO[bytes], Streams]]:
    with tempfile.TemporaryDirectory(prefix="qvd-") as folder, _listener(folder) as listener:
        path = listener.getsockname()
        arguments = ("-S", f"nx/nx,connect=unix:{path}:{DISPLAY_NUMBER}")
        # Without a name: what it writes there is read, and it must not choose which file that is.
        with tempfile.TemporaryFile() as output:
            with sandbox_filter_file.opened() as filters:
                child = await process.launch(
                    sandbox.command(
                        PROGRAM, arguments, path, display, confine=confine, filters=filters
                    ),
                    env=sandbox.environment(display, folder, confine=confine),
                    output=output,
                    pass_fds=filters,
                )
            try:
                streams = await _accept(listener, child, output)
                try:
                    yield child, output, streams
                finally:
                    streams[1].transport.abort()
            finally:
                # Now and then it has a helper, to tidy its cache, that first sleeps for seconds.
                await process.end_all(child, grace_s=END_GRACE_S)


@contextlib.contextmanager
def _listener(folder: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.settimeout(0)
        listener.bind(f"{folder}/nx")
        listener.listen(1)
        yield listener


async def _accept(listener: socket.socket, child: Child, output: IO[bytes]) -> Streams:
    try:
        async with TimeLimit(DIAL_LIMIT_S):
            peer = await _peer(listener, child)
    except TimeoutError as error:
        words = _output_tail(output)
        raise TimedOut(f"{PROGRAM} ({child.pid}) did not start: {words}") from error
    if peer is None:
        words = _output_tail(output)
        raise HostFailed(f"{PROGRAM} ended at once ({child.returncode}): {words}")
    listener.close()
    owner = _peer_uid(peer)
    if owner != os.geteuid():
        peer.close()
        raise Forbidden(f"User {owner} tried to take this session's picture; it was refused.")
    return await asyncio.open_unix_connection(sock=peer)


async def _peer(listener: socket.socket, child: Child) -> socket.socket | None:
    """The connection that nxproxy makes; None when it ends instead."""
    arrived: asyncio.Queue[socket.socket | None] = asyncio.Queue()
    accepted: list[socket.socket] = []

    async def accept() -> None:
        peer, _ = await asyncio.get_running_loop().sock_accept(listener)
        accepted.append(peer)
        arrived.put_nowait(peer)

    async def end() -> None:
        await child.wait()
        arrived.put_nowait(None)

    kept: socket.socket | None = None
    try:
        async with Supervisor("nx-dial") as tasks:
            _ = tasks.essential("accept", accept())
            _ = tasks.essential("exit", end())
            first = await arrived.get()
            tasks.cancel()
        kept = first
    finally:
        for peer in accepted:  # nobody's, where the caller gave up or the child has ended
            if peer is not kept:
                peer.close()
    return kept


def _output_tail(output: IO[bytes]) -> str:
    number = output.fileno()
    # Not by seek: the child writes at the same position.
    said = os.pread(number, LAST_WORDS, max(0, os.fstat(number).st_size - LAST_WORDS))
    return said.decode(errors="replace").strip()


def _peer_uid(peer: socket.socket) -> int:
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", credentials)
    return int(uid)
