"""What a user can do with desktops: list, connect, stop. The front doors call nothing else.

While the database is away, what runs can still be listed, reached and stopped, at any node of the
farm (running.py).
"""

import logging
from collections.abc import Sequence
from typing import Final

from qvdnode.db.user_tokens import UserTokens
from qvdnode.db.vms import Vms
from qvdnode.model.desktop import DesktopEntry, SessionEnd
from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import NotFound, TimedOut, Unavailable
from qvdnode.model.ids import VmId
from qvdnode.model.principal import Principal
from qvdnode.model.seat import Progress
from qvdnode.model.vm_state import ON_THE_WIRE, DisplayState, WireState
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.session import access
from qvdnode.session.access import Permission
from qvdnode.session.connect import Connections, SessionTicket
from qvdnode.session.files import Files
from qvdnode.session.hosts import Hosts
from qvdnode.session.ports import ClientEnd
from qvdnode.session.readiness import Readiness
from qvdnode.session.running import RunningDesktops
from qvdnode.session.starting import ask_a_host

log = logging.getLogger(__name__)

STOP_MARGIN_S: Final = 20.0
"""For killing and cleaning, after a guest's own time to end is over."""


class Desktops:
    """The use cases, over the hosts of desktops and the database."""

    def __init__(  # noqa: PLR0913 - each serves use cases of its own
        self,
        vms: Vms,
        tokens: UserTokens,
        hosts: Hosts,
        running: RunningDesktops,
        connections: Connections,
        readiness: Readiness,
        stop_limit_s: float,
    ) -> None:
        self._vms = vms
        self._tokens = tokens
        self._hosts = hosts
        self._running = running
        self.files: Final = Files(hosts)
        """What users do with the files in their homes."""
        self._connections = connections
        self._readiness = readiness
        self._stop_limit_s = stop_limit_s

    async def entries(self, principal: Principal, *, applications: bool) -> Sequence[DesktopEntry]:
        """The principal's desktops, or applications; those that run if the database is away.

        Raises Unavailable when none of the principal's is known to run then: an empty list would
        say that there is none.
        """
        try:
            entries = await self._vms.desktops_of(principal.user_id, applications=applications)
        except Unavailable:
            running = await self._entries_running(principal)
            if not running:
                raise
            return [entry for entry in running if entry.is_application is applications]
        return [entry for entry in entries if _within(principal, entry.id)]

    async def authorise(self, principal: Principal, vm_id: VmId) -> Permission:
        """Check that this principal may use the VM; reads only. Raises NotFound, Forbidden.

        The permission is for the request that asked: what it allows is not checked again.
        """
        try:
            order = await self._vms.order(vm_id)
        except NotFound:
            order = None
        except Unavailable:
            order = await self._running.order(vm_id)
            if order is None:
                raise
            log.info("order_from_memory", extra={"vm": vm_id})
        access.check(principal, vm_id, None if order is None else order.vm)
        if order is None:
            raise AssertionError("check refuses what does not exist")
        return Permission(principal, order)

    async def connect(
        self,
        permission: Permission,
        params: DisplayParams,
        client: ClientEnd,
        progress: Progress,
        *,
        source: str,
    ) -> SessionTicket:
        """A display ready to be dialled, started or resumed or taken over as need be.

        Raises NodeFull, GuestFailed, TimedOut, Unavailable, Conflict; then nothing is left
        attached.
        """
        return await self._connections.connect(permission, params, client, progress, source=source)

    def ended(self, ticket: SessionTicket, *, reason: str, bytes_in: int, bytes_out: int) -> None:
        """Give a ticket back once its stream has ended; the display suspends itself."""
        self._connections.ended(ticket, reason=reason, bytes_in=bytes_in, bytes_out=bytes_out)

    async def start(self, permission: Permission) -> None:
        """Start the VM without a client, or do nothing if it runs.

        Raises NodeFull, GuestFailed, TimedOut, Unavailable, Conflict.
        """
        order = permission.order
        await ask_a_host(self._hosts, order, lambda host, asked: host.start(asked))

    async def session_end(self, permission: Permission) -> SessionEnd:
        """Why the last session with the desktop has ended, as far as it is known yet."""
        vm = permission.order.vm
        host = await self._hosts.running(vm.id, vm.owner_node)
        status = await host.status(vm.id)
        if status is not None:
            return SessionEnd(
                state=ON_THE_WIRE[status.state],
                display=status.display,
                viewer=status.viewer,
                because=status.end_reason or "",
                failed=status.error is not None,
            )
        past = await host.past_starts(vm.id)
        reason, failed = (past[-1].reason, past[-1].failed) if past else ("", False)
        return SessionEnd(
            state=WireState.STOPPED,
            display=DisplayState.OFF,
            viewer=False,
            because=reason,
            failed=failed,
        )

    async def stop(self, permission: Permission, progress: Progress) -> None:
        """Stop the principal's VM; one that is stopped already is fine.

        Raises TimedOut when it takes too long; the stop goes on all the same.
        """
        vm = permission.order.vm
        progress("Stopping virtual machine")
        try:
            async with TimeLimit(self._stop_limit_s):
                await (await self._hosts.running(vm.id, vm.owner_node)).stop(vm.id)
        except TimeoutError as error:
            raise TimedOut(
                "The desktop is still being stopped; try again in a minute, and tell your"
                " administrator if it stays so."
            ) from error

    async def type_text(self, ticket: SessionTicket, text: str) -> None:
        """Type a text in the desktop of the ticket; raises as DesktopHost.type_text."""
        seat = ticket.seat
        await self._hosts.of_seat(seat).type_text(seat.vm_id, text)

    async def issue_token(self, principal: Principal) -> tuple[int, str]:
        """A token that logs this principal in for a day at most: its id and its text.

        Raises Unauthenticated when the principal's login has been ended meanwhile.
        """
        return await self._tokens.issue(principal)

    def alive(self) -> bool:
        """Whether desktops that run can be reached through this node."""
        return self._readiness.serving

    async def _entries_running(self, principal: Principal) -> list[DesktopEntry]:
        return [
            DesktopEntry(
                id=status.order.vm.id,
                name=status.order.vm.name,
                state=ON_THE_WIRE[status.state],
                blocked=status.order.vm.blocked,
                is_application=status.order.vm.is_application,
                files=status.order.flavour.files,
            )
            for status in await self._running.of(principal)
            if _within(principal, status.order.vm.id)
        ]


def _within(principal: Principal, vm_id: VmId) -> bool:
    """Whether a login that may be bound to one desktop reaches to this one."""
    return principal.only_vm is None or principal.only_vm == vm_id
