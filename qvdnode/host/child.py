"""One child process: how it is started, its streams and its end. The home of `subprocess`.

A child is made by vfork: fork would copy the tables of all of this process's memory, which takes
milliseconds, and leave it to copy page after page later. So nothing runs in a child before its
program does, and whatever is to be different for it must be set in the thread that starts it.
The C code of `subprocess` closes all other descriptors in the child itself, where no thread can
open another one any more.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Final, TypeAlias

from qvdnode.host.own_thread import in_own_thread

PIPE: Final = subprocess.PIPE
DEVNULL: Final = subprocess.DEVNULL
Stream: TypeAlias = int | IO[bytes]
"""PIPE, DEVNULL, or an open file."""


class Child:
    """A child process, leader of a session of its own. Whoever has it ends it and closes it."""

    def __init__(self, started: "subprocess.Popen[bytes]", gone: int) -> None:
        """`gone` is a pidfd of it, which is closed here once the process has ended."""
        self.pid = started.pid
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout: asyncio.StreamReader | None = None
        self.stderr: asyncio.StreamReader | None = None
        self._started = started
        self._transports: list[asyncio.BaseTransport] = []
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(gone, self._reap, gone)

    @property
    def returncode(self) -> int | None:
        """Its exit code, the negative number of the signal that killed it; None while it runs."""
        return self._started.returncode

    async def connect_pipes(self) -> None:
        """Make streams of the pipes that it was started with."""
        started = self._started
        if started.stdin is not None:
            self.stdin = await self._writer(started.stdin)
        if started.stdout is not None:
            self.stdout = await self._reader(started.stdout)
        if started.stderr is not None:
            self.stderr = await self._reader(started.stderr)

    async def wait(self) -> int:
        """Its exit code, once it has ended; what it printed may still be unread."""
        await self._ended.wait()
        return self._started.wait()

    async def communicate(self, content: bytes | None) -> tuple[bytes, bytes]:
        """Write that to its stdin; all of its stdout and stderr, once it has ended.

        What it has started holds the pipes open, too, and is waited for.
        """
        async with asyncio.TaskGroup() as group:
            stdout = group.create_task(_whole(self.stdout))
            stderr = group.create_task(_whole(self.stderr))
            if self.stdin is not None:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.stdin.write(content or b"")
                    await self.stdin.drain()
                self.stdin.close()
        await self.wait()
        return stdout.result(), stderr.result()

    def send_signal(self, number: signal.Signals) -> None:
        """Signal it if it still runs."""
        self._started.send_signal(number)

    def kill_session(self) -> None:
        """SIGKILL to it and to all that it has started and left in its process group."""
        # A number is given out again only after all others were, and not while the group lives.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let go of its pipes, whoever else has their other ends; readers see the end."""
        for transport in self._transports:
            if transport.is_closing():
                continue
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
            else:
                transport.close()

    def _reap(self, gone: int) -> None:
        asyncio.get_running_loop().remove_reader(gone)
        os.close(gone)
        self._started.wait()  # no wait: the pidfd has told that it has ended
        self._ended.set()

    async def _reader(self, pipe: IO[bytes]) -> asyncio.StreamReader:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: _ReadProtocol(reader), closed_once(pipe)
        )
        self._transports.append(transport)
        return reader

    async def _writer(self, pipe: IO[bytes]) -> asyncio.StreamWriter:
        loop = asyncio.get_running_loop()
        # Its reader stays unused; this is asyncio's only public protocol that can be drained.
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), closed_once(pipe)
        )
        self._transports.append(transport)
        return asyncio.StreamWriter(transport, protocol, None, loop)


class _ReadProtocol(asyncio.StreamReaderProtocol):
    def eof_received(self) -> bool:
        """Have the transport closed: uvloop would keep the descriptor."""
        super().eof_received()
        return False


async def start(
    argv: Sequence[str],
    environment: Mapping[str, str],
    streams: tuple[Stream, Stream, Stream],
    *,
    pass_fds: Sequence[int] = (),
    enter: Callable[[], None] | None = None,
) -> Child:
    """Start a program that has these three streams and `pass_fds` open, and nothing else.

    With `enter` it is started by a new thread, which calls that first; the program inherits what
    it makes of its thread. Such a program must not be tied to us by a parent-death signal, which
    goes by the thread. Without, the calling thread starts it. All threads of this process stand
    still until the program is executed, since CPython holds its lock meanwhile. Raises OSError.
    """

    def begin() -> tuple["subprocess.Popen[bytes]", int]:
        if enter is not None:
            enter()
        stdin, stdout, stderr = streams
        started = subprocess.Popen(
            argv, bufsize=0, stdin=stdin, stdout=stdout, stderr=stderr, env=environment,
            close_fds=True, pass_fds=pass_fds, start_new_session=True,
        )  # fmt: skip
        try:
            return started, os.pidfd_open(started.pid)
        except OSError:
            with started:  # which closes its pipes and waits for its end
                started.kill()
            raise

    if enter is None:
        return Child(*begin())
    return Child(*await in_own_thread(begin, name="spawn"))


def closed_once(pipe: IO[bytes]) -> IO[bytes]:
    """The same pipe in a file that the running loop's transport closes exactly once.

    uvloop has closed the descriptor when it closes the file as well. In between another thread may
    have been given the same number, and would lose what it opened.
    """
    is_asyncios = isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop)
    with pipe:
        return open(os.dup(pipe.fileno()), pipe.mode, buffering=0, closefd=is_asyncios)


async def _whole(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else await stream.read()
