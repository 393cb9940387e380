"""A user connects: choose the node, start or resume or take over there, hand the display over.

Whether the user may is settled before (access.py); what carries the bytes is the proxy's.
"""

from dataclasses import dataclass

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.principal import Principal
from qvdnode.model.seat import Progress, Seat, Viewer
from qvdnode.session.journal import SessionJournal
from qvdnode.session.place import StartChoice
from qvdnode.session.slave_key import new_slave_key
from qvdnode.vm.fleet import Fleet


@dataclass(frozen=True, slots=True)
class SessionTicket:
    """One client attached to one display, until `Connections.ended` gets it back."""

    seat: Seat
    journal_key: int
    slave_key: str


class Connections:
    """Users and the displays they are attached to."""

    def __init__(self, starts: StartChoice, fleet: Fleet, journal: SessionJournal) -> None:
        self._starts = starts
        self._fleet = fleet
        self._journal = journal

    async def connect(
        self,
        principal: Principal,
        order: DesktopOrder,
        params: DisplayParams,
        viewer: Viewer,
        progress: Progress,
        *,
        source: str,
    ) -> SessionTicket:
        """A display ready to be dialled, started or resumed or taken over as need be.

        Raises NodeFull, GuestFailed, TimedOut, Unavailable, Conflict; nothing is attached then.
        """
        vm_id = order.vm.id
        if self._fleet.status(vm_id) is None:
            self._starts.choose(order)
        seat = await self._fleet.attach(order, params, viewer, progress)
        key = self._journal.open(
            vm_id, principal.user_id, source=source, client=params.client_type or params.os
        )
        return SessionTicket(seat, key, new_slave_key())

    def ended(self, ticket: SessionTicket, *, reason: str, bytes_in: int, bytes_out: int) -> None:
        """Give a ticket back once its stream has ended; the display suspends itself."""
        self._fleet.detach(ticket.seat)
        self._journal.close(
            ticket.journal_key, reason=reason, bytes_in=bytes_in, bytes_out=bytes_out
        )
