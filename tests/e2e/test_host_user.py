"""What another user of the host reaches of a node and its desktops."""

import os
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeDesk, Screen
from tests.e2e.guest_processes import in_guest, in_guest_as_root
from tests.e2e.test_desktop import viewing
from tests.harness.node import NodeProcess
from tests.harness.stranger import listener, reached

pytestmark = pytest.mark.asyncio(loop_scope="session")

ENTRIES_MAX = 200_000
PUBLIC = {"node.json", "node.toml", "test-node.log"}
"""How to reach the node, which is for all; what the test puts into the folder."""


def entries(folder: Path) -> list[Path]:
    """Folders, files and sockets below it, those of images and roots down to some depth only."""
    found: list[Path] = [folder]
    for path, folders, files in os.walk(folder):
        here = Path(path)
        found += [here / name for name in (*folders, *files)]
        if len(here.relative_to(folder).parts) > 4:
            folders.clear()
        assert len(found) < ENTRIES_MAX
    return found


async def test_nothing_of_a_desktop_is_within_reach_of_another_user_of_the_host(
    make: MakeDesk, node: NodeProcess, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with viewing(desk, screen, tmp_path):
        in_guest(desk, f"umask 0; chmod 777 ~; echo secret >~/told; {listener('~/door')}")
        everywhere = "chmod 777 /run/qvd; echo secret >/run/qvd/told; echo secret >/srv/told"
        in_guest_as_root(desk, f"umask 0; {everywhere}")
        in_guest_as_root(desk, f"{listener('/run/qvd/door')}; {listener('/srv/door')}")
        found = entries(node.state_dir)
        told = {path.parent.name for path in found if path.name in {"door", "told"}}
        assert {"home", "shared", "srv"} <= told  # the walk saw what it is about
        found = [path for path in found if path.name not in PUBLIC]
        assert await reached(found) == set()
