"""Which node a request for a desktop goes to."""

import pytest

from qvdnode.model.ids import NodeId
from qvdnode.session.core.routing import Here, Route, There, Unlinked, Unplaced, route, to_node

HERE, LINKED, AWAY = NodeId(1), NodeId(2), NodeId(3)
LINKS = {LINKED}


@pytest.mark.parametrize(
    ("owner", "way"),
    [
        (None, Unplaced()),
        (HERE, Unplaced()),
        (LINKED, There(LINKED)),
        (AWAY, Unlinked(AWAY)),
    ],
)
def test_what_does_not_run_here_goes_to_its_owner(owner: NodeId | None, way: Route) -> None:
    assert route(owner, HERE, LINKS, runs_here=False) == way


@pytest.mark.parametrize("owner", [None, HERE, LINKED, AWAY])
@pytest.mark.parametrize("here", [None, HERE])
def test_what_runs_here_is_asked_here(owner: NodeId | None, here: NodeId | None) -> None:
    assert route(owner, here, LINKS, runs_here=True) == Here()


@pytest.mark.parametrize("owner", [None, HERE, LINKED, AWAY])
def test_a_node_that_has_not_joined_leaves_it_to_placement(owner: NodeId | None) -> None:
    assert route(owner, None, LINKS, runs_here=False) == Unplaced()


@pytest.mark.parametrize(
    ("chosen", "way"), [(HERE, Here()), (LINKED, There(LINKED)), (AWAY, Unlinked(AWAY))]
)
def test_a_start_goes_to_the_chosen_node(chosen: NodeId, way: Route) -> None:
    assert to_node(chosen, HERE, LINKS) == way
