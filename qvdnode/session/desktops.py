"""What a user can do with desktops: list, connect, stop. The front doors call nothing else.

While the database is away, what runs here can still be listed, reached and stopped: the fleet
knows the orders its guests were started with.
"""

import logging
from collections.abc import Sequence
from typing import Final

from qvdnode.db.user_tokens import UserTokens
from qvdnode.db.vms import Vms
from qvdnode.model.desktop import DesktopEntry, SessionEnd
from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import NotFound, TimedOut, Unavailable
from qvdnode.model.farm import DesktopOrder, Vm
from qvdnode.model.ids import VmId
from qvdnode.model.principal import Principal
from qvdnode.model.seat import Progress, Viewer
from qvdnode.model.vm_state import ON_THE_WIRE, DisplayState, WireState
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.session import access
from qvdnode.session.connect import Connections, SessionTicket
from qvdnode.session.readiness import Readiness
from qvdnode.vm.fleet import Fleet

log = logging.getLogger(__name__)

STOP_MARGIN_S: Final = 20.0
"""For killing and cleaning, after a guest's own time to end is over."""


class Desktops:
    """The use cases, over the fleet of this node and the database."""

    def __init__(
        self,
        vms: Vms,
        tokens: UserTokens,
        fleet: Fleet,
        connections: Connections,
        readiness: Readiness,
        stop_limit_s: float,
    ) -> None:
        self._vms = vms
        self._tokens = tokens
        self._fleet = fleet
        self._connections = connections
        self._readiness = readiness
        self._stop_limit_s = stop_limit_s

    async def entries(self, principal: Principal, *, applications: bool) -> Sequence[DesktopEntry]:
        """The principal's desktops, or applications; what runs here if the database is away.

        Raises Unavailable when nothing of the principal's runs here then: an empty list would
        say that there is none.
        """
        try:
            entries = await self._vms.desktops_of(principal.user_id, applications=applications)
        except Unavailable:
            here = self._entries_here(principal)
            if not here:
                raise
            return [entry for entry in here if entry.is_application is applications]
        return [entry for entry in entries if _within(principal, entry.id)]

    async def authorise(self, principal: Principal, vm_id: VmId) -> Vm:
        """The VM, if this principal may use it; reads only. Raises NotFound, Forbidden."""
        return (await self._order(principal, vm_id)).vm

    async def connect(
        self,
        principal: Principal,
        vm_id: VmId,
        params: DisplayParams,
        viewer: Viewer,
        progress: Progress,
        *,
        source: str,
    ) -> SessionTicket:
        """A display ready to be dialled, started or resumed or taken over as need be.

        Raises NotFound, Forbidden, NodeFull, GuestFailed, TimedOut, Unavailable, Conflict; then
        nothing is left attached.
        """
        order = await self._order(principal, vm_id)
        return await self._connections.connect(
            principal, order, params, viewer, progress, source=source
        )

    def ended(self, ticket: SessionTicket, *, reason: str, bytes_in: int, bytes_out: int) -> None:
        """Give a ticket back once its stream has ended; the display suspends itself."""
        self._connections.ended(ticket, reason=reason, bytes_in=bytes_in, bytes_out=bytes_out)

    async def session_end(self, principal: Principal, vm_id: VmId) -> SessionEnd:
        """Why the principal's session has ended, as far as it is known yet.

        Raises as `authorise`.
        """
        await self._order(principal, vm_id)
        status = self._fleet.status(vm_id)
        if status is not None:
            return SessionEnd(
                state=ON_THE_WIRE[status.state],
                display=status.display,
                viewer=status.viewer,
                because=status.because or "",
                failed=status.error is not None,
            )
        past = await self._fleet.past_starts(vm_id)
        because, failed = (past[-1].because, past[-1].failed) if past else ("", False)
        return SessionEnd(
            state=WireState.STOPPED,
            display=DisplayState.OFF,
            viewer=False,
            because=because,
            failed=failed,
        )

    async def stop(self, principal: Principal, vm_id: VmId, progress: Progress) -> None:
        """Stop the principal's VM; one that is stopped already is fine.

        Raises as `authorise`, and TimedOut when it takes too long; the stop goes on all the same.
        """
        await self._order(principal, vm_id)
        progress("Stopping virtual machine")
        try:
            async with TimeLimit(self._stop_limit_s):
                await self._fleet.stop(vm_id)
        except TimeoutError as error:
            raise TimedOut(
                "The desktop is still being stopped; try again in a minute, and tell your"
                " administrator if it stays so."
            ) from error

    async def issue_token(self, principal: Principal) -> tuple[int, str]:
        """A token that logs this principal in for a day at most: its id and its text.

        Raises Unauthenticated when the principal's login has been ended meanwhile.
        """
        return await self._tokens.issue(principal)

    def alive(self) -> bool:
        """Whether desktops that run can be reached through this node."""
        return self._readiness.serving

    def ready(self) -> str | None:
        """Why no desktop can be started here now, for a person; None when one can."""
        return self._readiness.reason()

    def _entries_here(self, principal: Principal) -> list[DesktopEntry]:
        return [
            DesktopEntry(
                id=status.order.vm.id,
                name=status.order.vm.name,
                state=ON_THE_WIRE[status.state],
                blocked=status.order.vm.blocked,
                is_application=status.order.vm.is_application,
            )
            for status in self._fleet.statuses()
            if status.order.vm.user_id == principal.user_id
            and _within(principal, status.order.vm.id)
        ]

    async def _order(self, principal: Principal, vm_id: VmId) -> DesktopOrder:
        try:
            order = await self._vms.order(vm_id)
        except NotFound:
            order = None
        except Unavailable:
            status = self._fleet.status(vm_id)
            if status is None:
                raise
            log.info("order_from_memory", extra={"vm": vm_id})
            order = status.order
        access.check(principal, vm_id, None if order is None else order.vm)
        if order is None:
            raise AssertionError("check refuses what does not exist")
        return order


def _within(principal: Principal, vm_id: VmId) -> bool:
    """Whether a login that may be bound to one desktop reaches to this one."""
    return principal.only_vm is None or principal.only_vm == vm_id
