"""`qvd vm console`: an administrator at the console of a desktop."""

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Iterator
from typing import Annotated, Final

import aiohttp
import typer

from qvdnode.cli import name_lookup
from qvdnode.cli.answer_tables import tell
from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.examples import examples
from qvdnode.cli.qvd.api_session import with_api
from qvdnode.runtime.supervise import Supervisor
from qvdnode.runtime.time_limit import TimeLimit

Vm = Annotated[str, typer.Argument(help="Number, NAME or LOGIN[@TENANT]/NAME of the VM.")]
LEAVE: Final = b"\x1d"
"""Ctrl-], as telnet and virsh have it."""
PIECE: Final = 1024
PROMPT_S: Final = 10.0
REST_S: Final = 3.0
"""How long to show what still comes when all was typed that a pipe had."""
WELCOME: Final = "Console of VM {number}. Ctrl-] leaves it."


def add_to(app: typer.Typer) -> None:
    """Add the command to those of `qvd vm`."""
    app.command(epilog=examples("qvd vm console alice/desk", "qvd vm console 7 < commands"))(
        console
    )


def console(vm: Vm) -> None:
    """Use the console of a running desktop of KVM as its root. It is noted in the audit log.

    What it shows is the desktop's own and may steer your terminal: its user can have written it.
    """
    with_api(lambda api: _use(api, vm))


async def _use(api: ApiClient, vm: str) -> None:
    number = await name_lookup.vm_id(api, vm)
    async with api.terminal(f"/console/{number}") as socket:
        tell(WELCOME.format(number=number), json=not sys.stdin.isatty())
        with _raw():
            async with Supervisor("console") as tasks:
                shown = asyncio.Event()
                typing = tasks.isolated("typing", _type(socket, shown))
                showing = tasks.isolated("showing", _show(socket, shown))
                await asyncio.wait((typing, showing), return_when=asyncio.FIRST_COMPLETED)


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """Each key goes to the guest, Ctrl-C too; nothing is changed for a pipe."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


async def _type(socket: aiohttp.ClientWebSocketResponse, shown: asyncio.Event) -> None:
    """Send what is typed, until Ctrl-] or the end of a pipe."""
    if not sys.stdin.isatty():  # a pipe does not wait until a shell asks for something
        with contextlib.suppress(TimeoutError):
            async with TimeLimit(PROMPT_S):
                await shown.wait()
    while True:
        typed = await _typed()
        before, left, _ = typed.partition(LEAVE)
        if before:
            await socket.send_bytes(before)
        if left:
            return
        if not typed:
            await asyncio.sleep(REST_S)
            return


async def _typed() -> bytes:
    """What is typed next; empty at the end."""
    try:
        handle = sys.stdin.fileno()
    except OSError:  # no file of the system
        return sys.stdin.buffer.read(PIECE)
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()
    try:
        loop.add_reader(handle, lambda: None if ready.done() else ready.set_result(None))
    except PermissionError:  # a file is always ready
        return os.read(handle, PIECE)
    try:
        await ready
    finally:
        loop.remove_reader(handle)
    return os.read(handle, PIECE)


async def _show(socket: aiohttp.ClientWebSocketResponse, shown: asyncio.Event) -> None:
    """Show what comes, until the node closes the console."""
    async for message in socket:
        if message.type is aiohttp.WSMsgType.BINARY:
            if message.data:
                shown.set()
            sys.stdout.buffer.write(message.data)
            sys.stdout.buffer.flush()
