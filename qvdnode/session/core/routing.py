"""Which node a request for a desktop goes to: by the owner in its row, and by what runs here."""

from collections.abc import Container
from dataclasses import dataclass

from qvdnode.model.ids import NodeId


@dataclass(frozen=True, slots=True)
class Here:
    """This node is the desktop's host."""


@dataclass(frozen=True, slots=True)
class There:
    """Another node is, and it can be asked."""

    node_id: NodeId


@dataclass(frozen=True, slots=True)
class Unlinked:
    """Another node is, and this one has no link to it."""

    node_id: NodeId


@dataclass(frozen=True, slots=True)
class Unplaced:
    """No node runs the desktop: placement chooses one for a start."""


Route = Here | There | Unlinked | Unplaced


def route(
    owner: NodeId | None, here: NodeId | None, links: Container[NodeId], *, runs_here: bool
) -> Route:
    """The node that runs a desktop.

    `owner` is the one in its row, `here` is None for a node that has not joined the farm, `links`
    has the other nodes that can be asked.
    """
    # What runs here is asked here, whatever the row says: the row may be older, and may be read
    # wrongly by a node that has not joined. A guest that was given up is ended by its actor.
    if runs_here:
        return Here()
    if owner is None or here is None or owner == here:
        return Unplaced()
    return to_node(owner, here, links)


def to_node(
    node_id: NodeId, here: NodeId | None, links: Container[NodeId]
) -> Here | There | Unlinked:
    """The way to a node."""
    if node_id == here:
        return Here()
    return There(node_id) if node_id in links else Unlinked(node_id)
