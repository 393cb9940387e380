"""`qvd vm console` with what a pipe has, against a node whose desktops only pretend."""

import pytest

from qvdnode.admin.parts import AdminParts
from qvdnode.cli.qvd import vm_console
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import DisplayState, VmState
from tests.fakes.fleet import FakeFleet
from tests.integration.admin.sample_farm import PASSWORD
from tests.integration.cli.qvd.conftest import Qvd
from tests.waiting import until

pytestmark = pytest.mark.postgres


async def test_a_pipe_is_typed_and_what_comes_is_shown(
    logged_in: Qvd, parts: AdminParts, fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vm_console, "REST_S", 0.5)
    image = await parts.catalogue.images.create("icewm")
    await parts.catalogue.images.add_version(image.id, size_bytes=1)
    await parts.catalogue.images.set_head(image.id, 1)
    await logged_in("flavour", "create", "office", "--image", "icewm")
    await logged_in("user", "create", "alice", "--password-stdin", stdin=PASSWORD)
    await logged_in("vm", "create", "desk", "--user", "alice", "--flavour", "office")

    refused = await logged_in("vm", "console", "desk", stdin="date\n")
    assert (refused.exit_code, "does not run" in refused.output) == (3, True)

    fleet.put(await parts.vms.order(VmId(1)), VmState.RUNNING, DisplayState.CONNECTED, viewer=True)
    said = await logged_in("vm", "console", "desk", stdin="date\n")
    assert said.exit_code == 0, said.output
    assert "login: DATE" in said.output
    await until(lambda: fleet.console_key == "", what="the console to be given back")
    left = await logged_in("vm", "console", "desk", stdin="who\x1dnot this\n")
    assert "NOT THIS" not in left.output
