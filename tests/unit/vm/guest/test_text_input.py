"""Text that no key stands behind is typed by the guest's session script."""

import pytest

from qvdnode.model.errors import Conflict, GuestFailed, NotFound
from qvdnode.model.ids import VmId
from qvdnode.wire.session_exit import SessionExit
from tests.fakes.memory_driver import MemoryDriver
from tests.unit.vm.fleet_world import World

VM = VmId(7)


async def test_the_text_goes_to_the_guest_in_a_file(world: World) -> None:
    await world.connected()
    await world.fleet.type_text(VM, "日本語 😀")
    assert world.host.folders[VM].typed == "日本語 😀".encode()
    assert world.host.sessions[VM][-1] == "type"


async def test_nothing_is_typed_where_nothing_runs(world: World) -> None:
    with pytest.raises(NotFound):
        await world.fleet.type_text(VM, "é")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (SessionExit.UNKNOWN_VERB, Conflict),
        (SessionExit.NOT_RUNNING, NotFound),
        (SessionExit.FAILED, GuestFailed),
    ],
)
async def test_an_image_that_cannot_is_told_apart(
    world: World, monkeypatch: pytest.MonkeyPatch, code: SessionExit, error: type[Exception]
) -> None:
    await world.connected()

    async def answer(*_: object, **__: object) -> int:
        return code

    monkeypatch.setattr(MemoryDriver, "run_session", answer)
    with pytest.raises(error):
        await world.fleet.type_text(VM, "é")
