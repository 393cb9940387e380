"""Which desktops each node runs: what is told, and what the other node knows then."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.ids import Generation, TenantId, UserId, VmId
from qvdnode.model.vm_state import VmState
from qvdnode.peer.running_desktops import DesktopNews, RunningDesktop, news, running_of, updated
from qvdnode.wire.peer_frames import Notice, decode, encode
from qvdnode.wire.typed_values import BadValue, from_plain, to_plain
from tests.fakes.fleet import FakeFleet
from tests.fakes.orders import desktop_order

NUMBER = st.integers(1, 2**31 - 1)
TABLE = st.dictionaries(
    NUMBER.map(VmId),
    st.builds(RunningDesktop, NUMBER.map(Generation), NUMBER.map(UserId), NUMBER.map(TenantId)),
    max_size=5,
)
ONE = {VmId(7): RunningDesktop(Generation(2), UserId(5), TenantId(1))}


def crossed(told: DesktopNews) -> DesktopNews:
    """The notice as the other node reads it."""
    frame = decode(encode(Notice("desktops", to_plain(told)))[4:])
    assert isinstance(frame, Notice)
    read: DesktopNews = from_plain(DesktopNews, frame.facts)
    return read


@given(st.lists(TABLE, min_size=1, max_size=4), TABLE)
def test_who_is_told_of_each_change_knows_what_runs(
    tables: list[dict[VmId, RunningDesktop]], stale: dict[VmId, RunningDesktop]
) -> None:
    known, before = stale, None
    for table in tables:
        known = updated(known, crossed(news(before, table)))
        assert known == table
        before = table


def test_nothing_is_told_when_nothing_has_changed() -> None:
    assert news(ONE, dict(ONE)).is_empty
    assert not news(None, {}).is_empty  # else what was known before stays
    assert not news(ONE, {}).is_empty
    assert not news({}, ONE).is_empty


def test_a_newer_generation_is_told() -> None:
    later = {VmId(7): replace(ONE[VmId(7)], generation=Generation(3))}
    assert news(ONE, later).up == [7, 3, 5, 1]


def test_forty_desktops_take_less_than_a_kilobyte() -> None:
    many = {
        VmId(100_000 + n): RunningDesktop(Generation(300), UserId(70_000 + n), TenantId(1))
        for n in range(40)
    }
    assert len(encode(Notice("desktops", to_plain(news(None, many))))) < 1_000


def test_numbers_that_are_left_over_are_refused() -> None:
    with pytest.raises(BadValue, match="four numbers"):
        updated({}, DesktopNews(whole=True, up=[7, 1, 5], down=[]))


@pytest.mark.parametrize("state", list(VmState))
async def test_only_what_a_user_can_come_back_to_is_told(state: VmState) -> None:
    fleet = FakeFleet()
    fleet.put(desktop_order(7, user_id=5), state)
    found = running_of(await fleet.statuses())
    is_up = state in {VmState.RUNNING, VmState.HIBERNATED}
    assert set(found) == ({VmId(7)} if is_up else set())
    assert all(one.user_id == 5 for one in found.values())
    unowned = [replace(status, generation=None) for status in await fleet.statuses()]
    assert running_of(unowned) == {}
