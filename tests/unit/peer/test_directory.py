"""Who is in the farm, by its rows, and by the copy of them while there are none to read."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from qvdnode.db.nodes import Node, Nodes
from qvdnode.model.errors import BadConfig, Unavailable
from qvdnode.model.farm import Drain
from qvdnode.model.ids import FarmId, NodeId
from qvdnode.peer.directory import Directory, parse_kept
from qvdnode.peer.farm_files import NodeAddress
from qvdnode.tls.farm_authority import PeerIdentity
from tests.fakes.clock import ManualClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROW = Node(
    NodeId(2),
    "two",
    "192.0.2.2",
    8445,
    8446,
    b"key",
    "1.0",
    "boot",
    1,
    "up",
    NOW,
    NOW,
    (),
    alive=True,
)
TWO = PeerIdentity(FarmId("farm"), NodeId(2), b"key", NOW)


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    found = Directory(tmp_path / "peers.json", ManualClock())
    found.learn([ROW])
    return found


def test_a_node_is_known_by_number_and_key(directory: Directory) -> None:
    assert directory.refusal(TWO) is None
    assert directory.get(NodeId(2)).address == NodeAddress(NodeId(2), "192.0.2.2", 8445, b"key")
    assert "another key" in str(directory.refusal(replace(TWO, key_digest=b"other")))
    assert "not in this farm" in str(directory.refusal(replace(TWO, node_id=NodeId(3))))
    with pytest.raises(Unavailable, match="node 3 is not in this farm"):
        directory.get(NodeId(3))


@pytest.mark.parametrize(
    "row", [replace(ROW, state="removed"), replace(ROW, peer_key=None)], ids=["removed", "no key"]
)
def test_a_node_that_nobody_may_speak_with_is_refused(directory: Directory, row: Node) -> None:
    directory.learn([row])
    assert directory.refusal(TWO) is not None
    assert directory.all() == ()


def test_a_change_is_told_once(directory: Directory) -> None:
    changes: list[int] = []
    directory.on_change(lambda: changes.append(len(directory.all())))
    directory.learn([ROW])
    assert changes == []
    directory.learn([replace(ROW, state="removed")])
    assert changes == [0]


class NoTables(Nodes):
    """The rows of a database whose tables are still being made."""

    def __init__(self) -> None:
        """Of no database."""

    async def peers(self) -> Sequence[Node]:
        """What PostgreSQL says then."""
        raise BadConfig("The database lacks a table of the farm.")


async def test_the_first_look_may_come_before_the_tables(directory: Directory) -> None:
    directory.follow(NoTables())
    await directory.refresh()
    assert directory.refusal(TWO) is None


def test_a_restarted_node_knows_whom_it_knew(directory: Directory, tmp_path: Path) -> None:
    again = Directory(tmp_path / "peers.json", ManualClock())
    assert again.refusal(TWO) is None
    assert again.get(NodeId(2)).serves


def test_a_node_is_told_where_the_database_is_before_it_can_read_it(tmp_path: Path) -> None:
    known = NodeAddress(NodeId(1), "192.0.2.1", 8445, b"first")
    directory = Directory(tmp_path / "peers.json", ManualClock(), [known])
    assert directory.get(NodeId(1)).address == known


@pytest.mark.parametrize("content", [b"", b"{", b"7", b"[7]", b'[{"node_id": 1}]'])
def test_a_damaged_copy_is_no_copy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "peers.json"
    path.write_bytes(content)
    assert Directory(path, ManualClock()).all() == ()
    with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong with it
        parse_kept(content)


async def test_without_rows_what_is_known_stays(directory: Directory) -> None:
    await directory.refresh()
    assert await directory.admit(TWO) is None
    assert await directory.admit(replace(TWO, node_id=NodeId(3))) is not None


def test_a_copy_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "gone" / "peers.json", ManualClock())
    directory.learn([ROW])
    assert directory.refusal(TWO) is None


def test_nodes_have_names_and_removed_ones_keep_theirs(directory: Directory) -> None:
    assert (directory.name(NodeId(2)), directory.removed(NodeId(2))) == ("two", False)
    directory.learn([replace(ROW, state="removed", peer_key=None)])
    assert (directory.name(NodeId(2)), directory.removed(NodeId(2))) == ("two", True)
    assert (directory.name(NodeId(3)), directory.removed(NodeId(3))) == ("3", False)


def test_whether_a_node_is_emptied_is_told_also_of_one_without_a_key(directory: Directory) -> None:
    assert directory.drain(NodeId(2)) is Drain.NO
    directory.learn([replace(ROW, drain=Drain.STAY, peer_key=None)])
    assert directory.drain(NodeId(2)) is Drain.STAY


def test_a_table_that_was_emptied_is_not_believed_and_is_told_once(
    directory: Directory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    calls = list[str]()
    directory.on_change(lambda: calls.append("changed"))
    for _ in range(3):
        directory.learn([])
    assert directory.refusal(TWO) is None
    assert parse_kept((tmp_path / "peers.json").read_bytes())
    assert not calls
    assert [record.msg for record in caplog.records] == ["node_table_empty"]
    directory.learn([ROW])
    directory.learn([])
    assert [record.msg for record in caplog.records] == ["node_table_empty"] * 2
