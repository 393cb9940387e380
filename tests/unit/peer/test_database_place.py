"""Where the farm's database is, told to nodes of the farm alone."""

import json
from dataclasses import replace

import pytest

from qvdnode.model.errors import Forbidden
from qvdnode.model.ids import FarmId, NodeId
from qvdnode.peer.database_place import (
    DatabasePlace,
    followed,
    has_left,
    open_place,
    parse_place,
    seal_place,
)
from qvdnode.peer.farm_files import FarmMember, NodeAddress, parse_member, render_member

NODE = NodeAddress(NodeId(3), "192.0.2.3", 8445, b"digest")
MEMBER = FarmMember(FarmId("farm"), "-----BEGIN", b"k" * 32, NodeId(2), "", NODE)
OLD, NEW = "postgresql://q:old@db1/farm", "postgresql://q:new@db2/farm"
NONCE = bytes(12)


@pytest.mark.parametrize("place", [DatabasePlace(1, NEW), DatabasePlace(2, "", NODE)])
def test_a_node_of_the_farm_reads_it_and_nobody_else(place: DatabasePlace) -> None:
    sealed = seal_place(place, MEMBER, NONCE)
    assert b"new" not in sealed
    assert open_place(sealed, MEMBER) == place
    for stranger in (
        replace(MEMBER, farm_key=b"x" * 32),
        replace(MEMBER, farm_id=FarmId("other")),
    ):
        with pytest.raises(Forbidden):
            open_place(sealed, stranger)


@pytest.mark.parametrize(
    "plain",
    [{}, [], {"moves": "1", "dsn": NEW, "node": None}, {"moves": 1, "dsn": 7, "node": None},
     {"moves": 1, "dsn": "", "node": None}, {"moves": 1, "dsn": "", "node": {"node_id": 1}},
     {"moves": True, "dsn": NEW, "node": None}],
)  # fmt: skip
def test_what_is_no_place_is_refused(plain: object) -> None:
    with pytest.raises(ValueError, match=r"field|names"):
        parse_place(json.dumps(plain).encode())


def test_a_node_that_follows_keeps_the_way_and_passes_over_what_was_left() -> None:
    there = followed(replace(MEMBER, dsn=OLD, database_node=None), DatabasePlace(1, NEW), OLD)
    assert (there.dsn, there.database_node, there.moves) == (NEW, None, 1)
    assert has_left(there, OLD)
    assert not has_left(there, NEW)
    assert parse_member(render_member(there)) == there
    assert b"q:old" not in render_member(there)
    back = followed(there, DatabasePlace(2, OLD), NEW)
    assert (has_left(back, OLD), has_left(back, NEW)) == (False, True)
    assert not has_left(None, OLD)


def test_the_node_that_runs_the_database_has_no_way_to_itself() -> None:
    there = followed(MEMBER, DatabasePlace(1, NEW), "")
    assert there.left == ()
    here = followed(replace(there, node_id=NODE.node_id), DatabasePlace(2, "", NODE), NEW)
    assert (here.dsn, here.database_node) == ("", None)
    other = followed(there, DatabasePlace(2, "", NODE), NEW)
    assert (other.dsn, other.database_node) == ("", NODE)
    again = followed(here, DatabasePlace(3, NEW), "")
    assert again.left == ()
