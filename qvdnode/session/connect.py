"""A user connects: find the host, start or resume or take over there, hand the display over.

Whether the user may is settled before (access.py); what carries the bytes is the proxy's.
"""

import logging
import secrets
import string
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import Conflict, FarmError
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import VmId
from qvdnode.model.seat import Progress, Seat, Viewer
from qvdnode.session.access import Permission
from qvdnode.session.hosts import Hosts
from qvdnode.session.journal import SessionJournal
from qvdnode.session.ports import ClientEnd, DesktopHost
from qvdnode.session.starting import ask_a_host
from qvdnode.session.viewers import Viewers

log = logging.getLogger(__name__)

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

    def __init__(
        self,
        hosts: Hosts,
        viewers: Viewers,
        journal: SessionJournal,
        order_of: Callable[[VmId], Awaitable[DesktopOrder]],
        settled: Callable[[DesktopOrder, Progress], Awaitable[DesktopOrder]],
    ) -> None:
        """`order_of` reads a VM's order; raises NotFound, Unavailable.

        `settled` is the order after a takeover from a node that was lost, if need be.
        """
        self._settled = settled
        self._order_of = order_of
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
        order = await self._settled(permission.order, progress)
        viewer = self._viewers.enter(client, progress)
        try:
            seat = await ask_a_host(
                self._hosts,
                order,
                lambda host, asked: self._attach(host, asked, params, viewer),
            )
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

    async def _attach(
        self, host: DesktopHost, order: DesktopOrder, params: DisplayParams, viewer: Viewer
    ) -> Seat:
        """A seat at that host, or at the one that has begun to run the VM since `order` was read.

        A host does not pass a request on, so the row is read once more when it says Conflict.
        """
        try:
            return await host.attach(order, params, viewer)
        except Conflict as error:
            newer = await self._moved_to(host, order.vm.id)
            if newer is None:
                raise
            log.info("host_changed", extra={"vm": order.vm.id, "because": str(error)})
            moved_to, newer_order = newer
        return await moved_to.attach(newer_order, params, viewer)

    async def _moved_to(
        self, host: DesktopHost, vm_id: VmId
    ) -> tuple[DesktopHost, DesktopOrder] | None:
        """The host that runs the VM by its row, with its order; None if it is the one known."""
        try:
            order = await self._order_of(vm_id)
            moved_to = (await self._hosts.starting(order)).host
        except FarmError:
            return None
        known = moved_to is host or order.vm.owner_node is None
        return None if known else (moved_to, order)

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
