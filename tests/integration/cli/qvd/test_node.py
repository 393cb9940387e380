"""`qvd node`: invite, show, empty and remove nodes of the farm; its key."""

from qvdnode.admin.parts import AdminParts
from tests.integration.cli.qvd.conftest import Qvd
from tests.integration.cli.qvd.test_program import done


async def test_an_invitation_is_a_line_to_type(logged_in: Qvd) -> None:
    shown = await logged_in("node", "invite", "--name", "desk2")
    assert "qvdnode join qvdnode://192.0.2.1:8445 --token desk2.pin\n" in shown.stdout
    made = await done(logged_in, "node", "invite", "--life-s", "60")
    assert made["command"].endswith(made["token"])
    assert (await logged_in("node", "invite", "--life-s", "59")).exit_code == 2


async def test_nodes_are_shown_and_removed(logged_in: Qvd, parts: AdminParts) -> None:
    here = await parts.nodes.join("node1", "boot", "::1")
    other = await parts.nodes.join("desk2", "boot", "::1")
    assert here.node_id == 1
    assert (await done(logged_in, "node", "show", "desk2"))["id"] == other.node_id
    listed = await logged_in("node", "list")
    assert "embedded in node node1" in listed.stdout
    assert (await logged_in("node", "remove", "desk2", stdin="n\n")).exit_code == 1
    await parts.nodes.leave(other.node_id, other.epoch, guests_stay=False)
    assert (await logged_in("node", "remove", "desk2", "--yes")).exit_code == 0
    (left,) = await done(logged_in, "node", "list")
    assert left["name"] == "node1"
    assert (await logged_in("node", "show", "desk2")).exit_code == 3


async def test_a_node_is_emptied_and_filled_again(logged_in: Qvd, parts: AdminParts) -> None:
    await parts.nodes.join("node1", "boot", "::1")
    said = (await logged_in("node", "drain", "node1", "--move")).stdout
    assert "Node node1 starts no more desktops" in said
    assert "for a minute are stopped" in said
    assert "move" in (await logged_in("node", "list")).stdout
    assert "starts desktops again" in (await logged_in("node", "undrain", "node1")).stdout
    assert (await done(logged_in, "node", "drain", "node1")) == {"drain": "stay", "homes": 0}


async def test_the_key_is_changed(logged_in: Qvd) -> None:
    assert "not being changed" in (await logged_in("node", "key", "show")).stdout
    said = (await logged_in("node", "key", "rotate", "--no-wait")).stdout
    assert "Nodes take the new key. It waits for two." in said
    assert (await done(logged_in, "node", "key", "show")) == {"step": "added", "waits_for": ["two"]}
    again = await logged_in("node", "key", "rotate")
    assert "being changed already" in again.stderr
