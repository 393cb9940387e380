"""Asks for a desktop at the node that runs it, or at one that is chosen to start it.

The load that placement goes by is seconds old, so the chosen node decides itself. One that is full
refuses at once, and so does one without a free start slot; another one is chosen without it. When
all that were asked refuse, the desktop waits at the busy one with the shortest queue.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from qvdnode.model.errors import NodeFull
from qvdnode.model.farm import DesktopOrder
from qvdnode.session.core.redirects import Redirects
from qvdnode.session.hosts import Hosts, Place
from qvdnode.session.ports import DesktopHost

if TYPE_CHECKING:
    from qvdnode.model.ids import NodeId

log = logging.getLogger(__name__)

T = TypeVar("T")
Ask = Callable[[DesktopHost, DesktopOrder], Awaitable[T]]


async def ask_a_host(
    hosts: Hosts, order: DesktopOrder, ask: Ask[T], *, first: Place | None = None
) -> T:
    """What the host answers; raises what it raises, and as `Hosts.starting`.

    `first` is the answer of `Hosts.starting`, for a caller that has asked already. `ask` gets the
    order to send.

    NodeFull is raised when it runs the desktop already, or when no node that was asked can take it.
    """
    redirects = Redirects()
    asked: dict[NodeId, Place] = {}
    place = first or await hosts.starting(order)
    while place.chosen is not None:
        node_id = place.chosen.node_id
        asked[node_id] = place
        await hosts.note(order.vm.id, place.chosen, redirects.refused)
        try:
            return await ask(place.host, replace(order, may_wait=False))
        except NodeFull as error:
            redirects.add(node_id, error)
            log.info(
                "start_redirected",
                extra={"vm": order.vm.id, "node": node_id, "because": str(error)},
            )
            following = await _another(hosts, order, redirects)
            if following is None:
                waits_at = redirects.wait_at()
                if waits_at is None:
                    raise
                return await _wait_at(hosts, order, asked[waits_at], ask, redirects)
            place = following
    return await ask(place.host, order)


async def _another(hosts: Hosts, order: DesktopOrder, redirects: Redirects) -> Place | None:
    """A node that was not asked yet; None when there is none, or enough were asked."""
    if redirects.is_enough:
        return None
    try:
        return await hosts.starting(order, redirects.refused)
    except NodeFull:
        return None


async def _wait_at(
    hosts: Hosts, order: DesktopOrder, place: Place, ask: Ask[T], redirects: Redirects
) -> T:
    last = list(redirects.refused)[-1]
    if place.chosen is not None and place.chosen.node_id != last:
        await hosts.note(order.vm.id, place.chosen, redirects.refused)
    return await ask(place.host, order)
