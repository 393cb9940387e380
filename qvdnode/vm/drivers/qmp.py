"""A client of QEMU's machine protocol: one connection, a few commands, hung up again.

QEMU answers one client at a time, so nobody keeps a connection open.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from qvdnode.model.errors import HostFailed, TimedOut
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.vm.core.qmp_codec import (
    BadMessage,
    Done,
    Greeting,
    Message,
    MessageReader,
    Order,
    Refused,
    command,
)

PIECE: Final = 64 * 1024


async def carry_out(path: Path, orders: Sequence[Order], *, limit_s: float) -> list[object]:
    """Carry out these commands of a machine in turn; their answers.

    Raises HostFailed when QEMU is gone, refuses one or talks nonsense, TimedOut.
    """
    try:
        async with TimeLimit(limit_s):
            return await _talk(path, orders)
    except TimeoutError as error:
        raise TimedOut(f"QEMU did not answer within {limit_s:g} s.") from error
    except (OSError, BadMessage) as error:
        raise HostFailed(f"QEMU cannot be asked: {error}") from error


async def _talk(path: Path, orders: Sequence[Order]) -> list[object]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        messages = _Messages(reader)
        # QEMU says its version first, and takes no command before `qmp_capabilities`.
        while not isinstance(await messages.next(), Greeting):
            pass
        answers: list[object] = []
        for number, order in enumerate(("qmp_capabilities", *orders)):
            writer.write(command(number, order))
            await writer.drain()
            name = order if isinstance(order, str) else order[0]
            answers.append(await _answer(messages, number, name))
        return answers[1:]
    finally:
        # QEMU serves one connection at a time: this one must not linger.
        writer.transport.abort()


async def _answer(messages: "_Messages", number: int, name: str) -> object:
    while True:
        match await messages.next():
            case Done(number=found, answer=answer) if found == number:
                return answer
            case Refused(number=found, text=text) if found in {number, None}:
                raise HostFailed(f"QEMU refused {name}: {text}")
            case _:
                continue  # an event


class _Messages:
    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream
        self._reader = MessageReader()
        self._ready: list[Message] = []

    async def next(self) -> Message:
        while not self._ready:
            piece = await self._stream.read(PIECE)
            if not piece:
                raise BadMessage("it hung up")
            self._ready = self._reader.feed(piece)
        return self._ready.pop(0)
