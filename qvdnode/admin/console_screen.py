"""/console/{id}: the WebSocket of an administrator at a desktop's console.

Any node takes it: what is typed and shown goes to the node that runs the desktop by the calls that
nodes have among themselves. It shows what the guest writes, byte by byte, and gives its root's
shell, so it needs the role of an administrator, and a row of the audit log names who had it.
"""

import asyncio
import contextlib
import secrets
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from qvdnode.admin import access
from qvdnode.admin.parts import PARTS
from qvdnode.admin.visitor import operator_visitor
from qvdnode.db.audit import AuditEntry
from qvdnode.model.console import TYPED_MAX, ConsoleWish
from qvdnode.model.errors import FarmError, Forbidden, Invalid, NotFound
from qvdnode.model.ids import VmId
from qvdnode.runtime.supervise import Supervisor
from qvdnode.session.ports import DesktopHost
from qvdnode.web.core.same_origin import is_same_origin

PATH: Final = r"/console/{id:[1-9]\d{0,17}}"
HEARTBEAT_S: Final = 20.0
AS_FOR: Final = "delete_vm"
"""The handler whose right it needs: who may delete a VM may do all that its root may."""
NO_SOCKET: Final = "This address is for a WebSocket only: run qvd vm console."


def add_routes(router: web.UrlDispatcher) -> None:
    """Add the WebSocket's route."""
    router.add_get(PATH, open_console)


async def open_console(request: web.Request) -> web.StreamResponse:
    """Open the console of a desktop; raises what DesktopHost.console does, and Invalid."""
    origin = request.headers.get("Origin")
    if origin is not None and not is_same_origin(None, origin, request.headers.get("Host", "")):
        raise Forbidden("A console can be opened by programs and from a page of this node only.")
    operator = (await operator_visitor(request)).operator
    if operator is None:
        raise AssertionError("operator_visitor finds an operator or raises")
    access.require_role(operator, AS_FOR)
    parts = request.app[PARTS]
    vm = await parts.vms.get(VmId(int(request.match_info["id"])))
    if operator.tenant_id not in {None, vm.tenant_id}:
        raise NotFound("There is no such thing in your tenant.")
    host = await parts.hosts.running(vm.id, vm.owner_node)
    answer = web.WebSocketResponse(
        max_msg_size=TYPED_MAX, compress=False, heartbeat=HEARTBEAT_S, timeout=2.0
    )
    end = _ConsoleEnd(host, vm.id)
    # Written first: nobody is at a console without a row that says so.
    entry = AuditEntry(
        actor=operator.name,
        action="vm.console",
        object_kind="vm",
        object_id=str(vm.id),
        detail={"name": vm.name, "user": vm.user_login},
        correlation="",
    )
    await parts.records.trail.write([entry])
    first = await end.begin()
    try:
        # Last: who was refused a WebSocket asks without one to hear why.
        if not answer.can_prepare(request).ok:
            raise Invalid(NO_SOCKET)
        await answer.prepare(request)
        with contextlib.suppress(OSError, FarmError):
            await end.serve(answer, first)
        with contextlib.suppress(OSError):
            await answer.close(code=WSCloseCode.OK)
    finally:
        await end.close()
    return answer


class _ConsoleEnd:
    """One administrator's end of a console."""

    def __init__(self, host: DesktopHost, vm_id: VmId) -> None:
        self._host = host
        self._vm_id = vm_id
        self._key = secrets.token_hex(16)

    async def begin(self) -> bytes:
        """Open it; what it shows first."""
        wish = ConsoleWish(self._key, begins=True)
        return (await self._host.console(self._vm_id, wish)).shown

    async def serve(self, socket: web.WebSocketResponse, first: bytes) -> None:
        """Carry bytes both ways until either end closes."""
        await socket.send_bytes(first)
        async with Supervisor("console") as tasks:
            typing = tasks.isolated("typing", self._type(socket))
            showing = tasks.isolated("showing", self._show(socket))
            await asyncio.wait((typing, showing), return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Give it back; an end that is lost gives it back by its silence."""
        with contextlib.suppress(FarmError):
            await self._host.console(self._vm_id, ConsoleWish(self._key, ends=True))

    async def _type(self, socket: web.WebSocketResponse) -> None:
        while True:
            message = await socket.receive()
            if message.type is not WSMsgType.BINARY:
                return
            if message.data:
                typed = ConsoleWish(self._key, typed=bytes(message.data))
                with contextlib.suppress(FarmError):
                    await self._host.console(self._vm_id, typed)

    async def _show(self, socket: web.WebSocketResponse) -> None:
        while True:
            output = await self._host.console(self._vm_id, ConsoleWish(self._key))
            if output.shown:
                await socket.send_bytes(output.shown)
            if not output.is_open:
                return
