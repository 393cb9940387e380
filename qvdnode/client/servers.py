"""Dials the first of several servers that answers: any node of a farm shows the same desktops."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from qvdnode.client import qvd_link
from qvdnode.client.core.refusal import PERMANENT
from qvdnode.client.qvd_link import NEXT_ADDRESS_S, QvdLink
from qvdnode.client.target import Target
from qvdnode.client.trust import Trust
from qvdnode.model.errors import FarmError
from qvdnode.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Server:
    """A server, and how its certificate is checked before anything is sent."""

    target: Target
    trust: Trust


@dataclass(frozen=True, slots=True)
class Reached:
    """The server that answered first, and what was wrong with those that were asked before."""

    server: Server
    link: QvdLink
    problems: tuple[FarmError, ...]


async def dial_first(servers: Sequence[Server], clock: Clock) -> Reached:
    """Dial them in their order; the next is begun beside one that is silent for a moment.

    When none answers it raises what waiting cannot solve (another certificate), if anything; else
    the error of the first one. Raises as `qvd_link.dial`.
    """
    if len(servers) == 1:
        return Reached(
            servers[0], await qvd_link.dial(servers[0].target, servers[0].trust, clock), ()
        )
    waiting, errors = list(servers), list[FarmError]()
    dialling: dict[asyncio.Task[QvdLink], Server] = {}
    loop = asyncio.get_running_loop()
    try:
        while waiting or dialling:
            if waiting:
                server = waiting.pop(0)
                dial = qvd_link.dial(server.target, server.trust, clock)
                task = loop.create_task(dial)  # allowed: awaited below, whatever happens
                dialling[task] = server
            done, _ = await asyncio.wait(
                dialling,
                timeout=NEXT_ADDRESS_S if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                server = dialling[task]
                try:
                    link = await task
                except FarmError as error:
                    del dialling[task]
                    errors.append(error)
                else:
                    del dialling[task]
                    return Reached(server, link, tuple(errors))
    finally:
        await _hang_up(list(dialling))
    raise next((error for error in errors if isinstance(error, PERMANENT)), errors[0])


async def _hang_up(tasks: Sequence[asyncio.Task[QvdLink]]) -> None:
    """End what is still being dialled, and what has just been answered."""
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, QvdLink):
            outcome.writer.transport.abort()
