"""`qvd image rollout` and `qvd vm tag`."""

import json

import pytest

from qvdnode.admin.parts import AdminParts
from tests.integration.admin.sample_farm import PASSWORD
from tests.integration.cli.qvd.conftest import Qvd

pytestmark = pytest.mark.postgres


async def test_a_rollout_by_commands(logged_in: Qvd, parts: AdminParts) -> None:
    images = parts.catalogue.images
    image = await images.create("icewm")
    for _ in range(2):
        await images.add_version(image.id, size_bytes=1)
    await images.set_head(image.id, 1)
    for words in (
        ("flavour", "create", "office", "--image", "icewm"),
        ("vm", "create", "desk", "--user", "alice", "--flavour", "office"),
    ):
        if words[0] == "vm":
            await logged_in("user", "create", "alice", "--password-stdin", stdin=PASSWORD)
        made = await logged_in(*words)
        assert made.exit_code == 0, made.output
    assert "pilot" in (await logged_in("vm", "tag", "alice/desk", "pilot")).output
    stages = ("--stages", "tag:pilot=30m,100%=1d", "--soft-s", "8h")
    begun = await logged_in("image", "rollout", "start", "icewm", "2", *stages)
    assert "from version 1 to 2: running" in begun.output, begun.output
    shown = await logged_in("image", "rollout", "status", "icewm")
    assert "It waits for 1800 s until" in shown.output or "s until the stage" in shown.output
    assert "1 of 1 desktop start with it" in shown.output
    assert "alice@default" in shown.output
    found = json.loads((await logged_in("image", "rollout", "status", "icewm", "--json")).stdout)
    assert found["stages"][0] == {"selector": "tag:pilot", "soak_s": 1_800, "state": "now"}
    for verb, told in (("pause", "paused"), ("resume", "running"), ("abort", "aborted")):
        done = await logged_in("image", "rollout", verb, "icewm", "-m", "because")
        assert f"{told} since" in done.output, done.output
    again = await logged_in("image", "rollout", "pause", "icewm")
    assert (again.exit_code, "is aborted" in again.output) == (1, True)
    bad = await logged_in("image", "rollout", "start", "icewm", "2", "--stages", "half=1h,100%")
    assert (bad.exit_code, "names no desktops" in bad.output) == (2, True)
    assert "no tags" in (await logged_in("vm", "tag", "alice/desk", "--clear")).output
