"""Asks the agents in machines, one connection for each, over sockets that only root may enter."""

import asyncio
import contextlib
import errno
import secrets
import socket
from pathlib import Path
from typing import Final

from qvdnode.model.errors import GuestFailed, HostFailed, TimedOut
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.vm.core.agent_lines import Answer, AnswerReader, Flood, question

PIECE: Final = 4096
PAUSE_S: Final = 0.05
"""Between two reads: a guest that writes without end gets no more of the node than this leaves."""


class MachineAgent:
    """The agent in one machine. Its answers are the guest's word, and may be lies."""

    def __init__(self, path: Path) -> None:
        """`path` is the socket; it is dialled when something is asked."""
        self._path = path
        self._socket: socket.socket | None = None
        self._reader = AnswerReader()
        self._waiting: dict[str, asyncio.Future[int]] = {}
        self._paused: asyncio.TimerHandle | None = None

    def ask(self, verb: str, *arguments: str) -> "asyncio.Future[int]":
        """Write the question before this returns; the future has the answer.

        Raises HostFailed when it could not be written. The future fails with GuestFailed when the
        connection ends first.
        """
        number = secrets.token_hex(8)
        line = question(number, verb, *arguments)
        # Neither the dialling nor the send is awaited: the driver promises that an order is written
        # before this returns, so the order of calls is the order in which the guest gets them.
        connected = self._connected()
        try:
            written = connected.send(line)
        except OSError as error:
            self.close()
            raise HostFailed(f"the machine takes no order: {error.strerror}") from error
        if written != len(line):  # half a line would spoil the next one
            self.close()
            raise HostFailed("the machine takes no order: its port is full")
        answer = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        answer.add_done_callback(lambda _: self._waiting.pop(number, None))
        return answer

    async def answer(self, verb: str, *arguments: str, limit_s: float) -> int:
        """Ask, and wait for the answer; raises HostFailed, GuestFailed, TimedOut."""
        try:
            async with TimeLimit(limit_s):
                return await self.ask(verb, *arguments)
        except TimeoutError as error:
            raise TimedOut(f"The machine did not answer within {limit_s:g} s.") from error

    def close(self) -> None:
        """Hang up; whoever waits for an answer gets an error. Safe to repeat."""
        if self._paused is not None:
            self._paused.cancel()
            self._paused = None
        if self._socket is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for answer in list(self._waiting.values()):
            if not answer.done():
                answer.set_exception(GuestFailed("The machine hung up.", step="session"))
                answer.exception()  # whoever waits sees it; nobody has to

    def _connected(self) -> socket.socket:
        if self._socket is None:
            dialled = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                dialled.connect(str(self._path))
            except OSError as error:
                dialled.close()
                gone = error.errno in {errno.ENOENT, errno.ECONNREFUSED}
                why = "it is gone" if gone else error.strerror
                raise HostFailed(f"the machine cannot be asked: {why}") from error
            self._reader = AnswerReader()
            self._socket = dialled
            asyncio.get_running_loop().add_reader(dialled, self._read)
        return self._socket

    def _read(self) -> None:
        if self._socket is None:
            return
        try:
            piece = self._socket.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self.close()
            return
        try:
            for answer in self._reader.feed(piece):
                self._take(answer)
        except Flood:
            self.close()
            return
        # A full piece: more is waiting. A guest that writes all the time would keep the loop busy,
        # so reading pauses, and the port fills up on the guest's side.
        if len(piece) == PIECE:
            self._pause()

    def _take(self, answer: Answer) -> None:
        waiting = self._waiting.get(answer.number)
        # The guest can answer what nobody asked, or twice. Such lines are counted, up to a limit.
        if waiting is None or waiting.done():
            self._reader.unasked(answer)
        else:
            waiting.set_result(answer.code)

    def _pause(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket or -1)
        self._paused = loop.call_later(PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        self._paused = None
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._read)
