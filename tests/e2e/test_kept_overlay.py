"""A real desktop keeps what its root changed, over a stop and a new version of its image."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.image.core.manifest import Kind, Node
from qvdnode.image.store.repository import About, Content, Repository
from qvdnode.image.versions import VersionCommit, read_commit, write_commit
from tests.e2e.guest_processes import in_guest, in_guest_as_root
from tests.harness.farm import (
    LOOKED_AT,
    import_image,
    lend_image,
    make_desk,
    make_flavour,
    until_vm,
)
from tests.harness.node import NodeProcess, running_node
from tests.harness.node import test_root as state_root

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_desktop_starts_with_its_changes_on_the_next_version(icewm_root: Path) -> None:
    async with running_node(state_root()) as node, node.rest() as rest:
        await lend_image(node, rest, "icewm", icewm_root)
        flavour = await make_flavour(rest, "office", "icewm")
        await rest.call("PATCH", f"/flavours/{flavour}", {"overlay": "keep"})
        desk = await make_desk(node, rest, "alice", flavour)
        path = f"/vms/{desk.vm_id}"
        await rest.post(f"{path}/start?wait=true")
        in_guest_as_root(
            desk, "echo mine > /usr/local/own; chmod 700 /usr/bin/xterm; echo '# x' >> /etc/profile"
        )
        await rest.post(f"{path}/stop?wait=true")
        await import_image(rest, "icewm", icewm_root, *LOOKED_AT)
        change_newest(node)
        await rest.post(f"{path}/start?wait=true")
        await until_vm(rest, desk.vm_id, state="running")
        seen = in_guest(
            desk,
            "cat /usr/local/own; tail -n 1 /etc/profile; head -n 1 /etc/profile;"
            " stat -c %a /usr/bin/xterm",
        )
        assert seen.split("\n")[:4] == ["mine", "# x", "# the image", "700"]
        assert in_guest_as_root(desk, "tail -c 5 /usr/bin/xterm") == "# new"
        await rest.post(f"{path}/stop?wait=true")


def change_newest(node: NodeProcess) -> None:
    """Let the newest version be the one before it with two files changed."""
    images = node.state_dir / "images"
    *_, older, newest = sorted(folder.parent for folder in images.glob("[0-9]*/[0-9]*/commit"))
    made = read_commit(older)
    assert made is not None
    store = Repository(images / "store")
    tree = dict(store.tree(made.commit))
    work, fresh = store.work_folder(), dict[str, Path]()
    for path, before, behind in (
        (b"/etc/profile", b"# the image\n", b""),
        (b"/usr/bin/xterm", b"", b"# new"),
    ):
        content = before + store.content(tree[path].payload.decode()) + behind
        digest = hashlib.sha256(content).hexdigest()
        fresh[digest] = work / digest
        fresh[digest].write_bytes(content)
        tree[path] = with_content(tree[path], digest, len(content))
    about = About("tests", 1_700_000_000, parents=(made.commit,))
    commit = store.publish(Content(tree, fresh), about)
    write_commit(newest, VersionCommit("icewm", commit))


def with_content(node: Node, digest: str, size: int) -> Node:
    return replace(node, kind=Kind.FILE, size=size, payload=digest.encode())
