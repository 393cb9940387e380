"""Asks for a desktop at the node that runs it, or at one that is chosen to start it.

The load that placement goes by is seconds old, so the chosen node decides itself. One that is full
refuses at once, and another one is chosen without it.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from qvdnode.model.errors import NodeFull
from qvdnode.model.farm import DesktopOrder
from qvdnode.model.ids import NodeId
from qvdnode.session.hosts import Hosts, Place
from qvdnode.session.ports import DesktopHost

log = logging.getLogger(__name__)

REDIRECTS_MAX: Final = 3

T = TypeVar("T")


async def ask_a_host(
    hosts: Hosts,
    order: DesktopOrder,
    ask: Callable[[DesktopHost], Awaitable[T]],
    *,
    first: Place | None = None,
) -> T:
    """What the host answers; raises what it raises, and as `Hosts.starting`.

    `first` is the answer of `Hosts.starting`, for a caller that has asked already.

    NodeFull is raised when it runs the desktop already, when no other node can take the desktop,
    or when so many have refused it.
    """
    refused = dict[NodeId, str]()
    place = first or await hosts.starting(order)
    while True:
        if place.chosen is not None:
            await hosts.note(order.vm.id, place.chosen, refused)
        try:
            return await ask(place.host)
        except NodeFull as error:
            if place.chosen is None or len(refused) == REDIRECTS_MAX:
                raise
            node_id = place.chosen.node_id
            refused[node_id] = str(error)
            log.info(
                "start_redirected",
                extra={"vm": order.vm.id, "node": node_id, "because": str(error)},
            )
            try:
                place = await hosts.starting(order, refused)
            except NodeFull:
                raise error from None
