"""Placement in sentences."""

import random

from qvdnode.cluster.core.placement import Candidate, Refused, Wish, place, rank
from qvdnode.cluster.core.reasons import of_placement, of_verdict, points
from qvdnode.model.ids import NodeId
from tests.fakes.node_names import NAMES
from tests.unit.cluster.core.test_placement import node

WISH = Wish(memory_mib=1024, driver="lxc", home_node=NodeId(2), home_at=frozenset({NodeId(2)}))


def test_every_node_that_was_looked_at_has_a_sentence() -> None:
    candidates = [Candidate(node(n), has_home=n == 2) for n in (1, 2)]
    told = of_placement(place(WISH, candidates, random.Random(1)), NAMES.name)
    assert len(told) == 2
    assert told[0].startswith("desk2 was chosen with 21.0 points (memory free +4.0, ")
    assert "home here +6.0" in told[0]
    assert told[1] == "desk1 could not take it: the user's home is on another node."


def test_a_score_is_the_sum_of_what_is_told() -> None:
    ranked = rank(Candidate(node(1, promised_mib=32_256)))
    assert ranked.score == sum(points for _, points in ranked.parts)
    assert points(ranked).startswith("13.0 points (memory free +2.0, processor free +2.0")


def test_a_dry_run_speaks_of_now() -> None:
    assert of_verdict(rank(Candidate(node(1))), "desk1").startswith("desk1 can take it, with ")
    refused = Refused(NodeId(1), "an administrator empties it")
    assert of_verdict(refused, "desk1") == "desk1 cannot take it: an administrator empties it."
