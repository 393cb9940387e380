"""A user connects: find the host, start or resume or take over there, hand the display over.

Whether the user may is settled before (access.py); what carries the bytes is the proxy's.
"""

import secrets
import string
from dataclasses import dataclass
from typing import Final

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.seat import Progress, Seat, Viewer
from qvdnode.session.access import Permission
from qvdnode.session.hosts import Hosts
from qvdnode.session.journal import SessionJournal
from qvdnode.session.ports import ClientEnd
from qvdnode.session.viewers import Viewers

SLAVE_KEY_LENGTH: Final = 64
SLAVE_KEY_ALPHABET: Final = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class SessionTicket:
    """One client attached to one display, until `Connections.ended` gets it back."""

    seat: Seat
    viewer: Viewer
    journal_key: int
    slave_key: str
    """Key of the session's slave channel, as clients of QVD expect it in the 101."""


class Connections:
    """Users and the displays they are attached to."""

    def __init__(self, hosts: Hosts, viewers: Viewers, journal: SessionJournal) -> None:
        self._hosts = hosts
        self._viewers = viewers
        self._journal = journal

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

        Raises NodeFull, GuestFailed, TimedOut, Unavailable, Conflict; nothing is attached then.
        """
        order = permission.order
        host = await self._hosts.starting(order)
        viewer = self._viewers.enter(client, progress)
        try:
            seat = await host.attach(order, params, viewer)
        except BaseException:
            self._viewers.leave(viewer)
            raise
        key = self._journal.open(
            order.vm.id,
            permission.principal.user_id,
            source=source,
            client=params.client_type or params.os,
        )
        return SessionTicket(seat, viewer, key, new_slave_key())

    def ended(self, ticket: SessionTicket, *, reason: str, bytes_in: int, bytes_out: int) -> None:
        """Give a ticket back once its stream has ended; the display suspends itself."""
        self._viewers.leave(ticket.viewer)
        self._hosts.of_seat(ticket.seat).detach(ticket.seat)
        self._journal.close(
            ticket.journal_key, reason=reason, bytes_in=bytes_in, bytes_out=bytes_out
        )


def new_slave_key() -> str:
    """64 characters of [A-Za-z0-9], about 380 bits from the system's generator."""
    return "".join(secrets.choice(SLAVE_KEY_ALPHABET) for _ in range(SLAVE_KEY_LENGTH))
