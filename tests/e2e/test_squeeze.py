"""A node that is short of memory hibernates the desktops that were left, longest unused first."""

from pathlib import Path

import pytest

from tests.e2e.conftest import Screen
from tests.e2e.test_desktop import viewing
from tests.harness.farm import lend_image, make_desk, make_flavour, until_vm
from tests.harness.node import running_node
from tests.harness.node import test_root as state_root

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.alone]
LIMIT_S = 40.0
SQUEEZED = {
    "ksm": "off", "zram_pct": 100, "limit_mib": 600, "warm_pct": 95, "squeeze_pct": 95,
    "overcommit": 16.0, "host_reserve_mib": 0, "available_floor_mib": 0,
}  # fmt: skip
"""A node that is short of memory with three desktops."""


async def test_a_squeeze_hibernates_who_left_first_and_hurts_nobody_connected(
    icewm_root: Path, screen: Screen, tmp_path: Path
) -> None:
    async with (
        running_node(state_root(), node={"stop_guests": True}, memory=SQUEEZED) as node,
        node.rest() as rest,
    ):
        await lend_image(node, rest, "icewm", icewm_root)
        # An hour would have to pass, were there memory.
        flavour = await make_flavour(
            rest, "office", "icewm", hibernate_after_s=3600, memory_mib=256
        )
        names = ("first", "second", "stays")
        first, second, stays = [await make_desk(node, rest, name, flavour) for name in names]
        async with viewing(stays, screen, tmp_path / "stays") as (_, viewer):
            for desk in (first, second):
                async with viewing(desk, screen, tmp_path / desk.login):
                    pass
            await until_vm(rest, first.vm_id, LIMIT_S, state="hibernated")
            order = [event["vm"] for event in node.events("desktop_hibernated")]
            assert order[0] == first.vm_id
            view = await until_vm(rest, stays.vm_id, state="running", display="connected")
            assert view["generation"] == 1
            assert not viewer.over.is_set()
            told = await rest.get("/node/memory")
            assert "short of memory" in told["actions"][0]["reason"]
