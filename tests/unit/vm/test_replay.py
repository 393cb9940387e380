"""Every test of the fleet is replayed (conftest.py). These say that the replay would notice."""

import itertools
from collections.abc import Callable

import pytest

from qvdnode.model.ids import VmId
from qvdnode.vm.core.desktop import Desktop
from qvdnode.vm.core.effects import Effect, Tell
from qvdnode.vm.core.messages import AttachAsked, DisplayHeard, Message, Moment
from tests.unit.vm.fleet_world import World, settle
from tests.unit.vm.replay import Life, recorded


async def day(world: World) -> None:
    """A desktop is started, left, resumed with other parameters, and stopped."""
    world.hang_up(await world.connected())
    await settle()
    assert world.dial(await world.attach(geometry="2x2"))
    await world.fleet.stop(VmId(7))


async def test_a_day_of_a_desktop_is_recorded_and_replayed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recorded(monkeypatch) as lives:
        await day(world)
    messages = [message for message, _, _ in lives[0].turns]
    kinds = [type(message) for message in messages]
    assert kinds.count(AttachAsked) == 2
    assert DisplayHeard in kinds
    effects = " ".join(effects for _, _, effects in lives[0].turns)
    assert effects.count("HangUp(") == 1
    assert effects.count("SeatClient(") == 2


def spoil_effects(core: Desktop, effects: list[Effect], outside: int) -> list[Effect]:
    return [*effects, Tell(outside, "something")]


def spoil_state(core: Desktop, effects: list[Effect], outside: int) -> list[Effect]:
    core.rounds = outside
    return effects


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [(spoil_effects, "has other effects"), (spoil_state, "the state is another one")],
)
async def test_a_core_that_depends_on_something_else_is_noticed(
    world: World,
    lives: list[Life],
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Desktop, list[Effect], int], list[Effect]],
    complaint: str,
) -> None:
    outside, handle = itertools.count(), Desktop.handle

    def impure(core: Desktop, message: Message, now: Moment) -> list[Effect]:
        return spoil(core, handle(core, message, now), next(outside))

    with monkeypatch.context() as patched:
        patched.setattr(Desktop, "handle", impure)
        with pytest.raises(AssertionError, match=complaint), recorded(patched):
            await day(world)
    lives.clear()  # of the fixture, which would complain, too
