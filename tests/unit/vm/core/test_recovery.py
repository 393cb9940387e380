import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.ids import Generation, VmId
from qvdnode.model.vm_state import VmState
from qvdnode.vm.core.recovery import (
    Adopt,
    EndGuest,
    FoundGuest,
    MarkStopped,
    OwnedRow,
    acquired_generation,
    decide,
)


def row(vm: int, generation: int = 1) -> OwnedRow:
    return OwnedRow(VmId(vm), Generation(generation), VmState.RUNNING)


def guest(vm: int, generation: int = 1, *, alive: bool = True) -> FoundGuest:
    return FoundGuest(VmId(vm), Generation(generation), alive)


def told(rows: list[OwnedRow] | None, found: list[FoundGuest]) -> list[tuple[str, int, int]]:
    return [(type(d).__name__, d.vm_id, d.generation) for d in decide(rows, found)]


def test_a_guest_whose_row_agrees_is_adopted() -> None:
    assert told([row(7)], [guest(7)]) == [("Adopt", 7, 1)]


def test_a_guest_that_died_unwatched_is_cleaned_and_its_row_released() -> None:
    assert told([row(7)], [guest(7, alive=False)]) == [("EndGuest", 7, 1), ("MarkStopped", 7, 1)]


def test_a_row_without_any_guest_is_released() -> None:
    assert told([row(7)], []) == [("MarkStopped", 7, 1)]


def test_a_guest_without_row_is_ended() -> None:
    assert told([], [guest(7)]) == [("EndGuest", 7, 1)]


def test_a_guest_of_another_generation_is_ended_before_its_row_is_released() -> None:
    assert told([row(7, 3)], [guest(7, 2)]) == [("EndGuest", 7, 2), ("MarkStopped", 7, 3)]


def test_of_two_generations_only_the_rows_own_goes_on() -> None:
    assert told([row(7, 3)], [guest(7, 2), guest(7, 3)]) == [("EndGuest", 7, 2), ("Adopt", 7, 3)]


def test_while_the_database_is_away_nothing_that_runs_is_ended() -> None:
    assert told(None, [guest(7), guest(8, alive=False)]) == [("Adopt", 7, 1), ("EndGuest", 8, 1)]


@pytest.mark.parametrize(
    ("rows", "launched_here", "died"),
    [
        ([row(7)], True, True),
        ([row(7)], False, False),
        ([OwnedRow(VmId(7), Generation(1), VmState.STOPPING)], True, False),
        ([OwnedRow(VmId(7), Generation(2), VmState.STOPPING)], True, True),
        ([], True, True),
        (None, True, True),
        (None, False, False),
    ],
)
def test_a_guest_that_was_up_and_is_gone_has_died(
    rows: list[OwnedRow] | None, *, launched_here: bool, died: bool
) -> None:
    gone = FoundGuest(VmId(7), Generation(1), alive=False, launched_here=launched_here)
    ended = decide(rows, [gone])[0]
    assert isinstance(ended, EndGuest)
    assert ended.died is died


@pytest.mark.parametrize(
    ("rows", "generation"), [([row(7)], 1), ([row(7, 3)], 3), ([row(8)], None), (None, 1)]
)
def test_a_node_writes_its_own_rows_whatever_start_they_are_of(
    rows: list[OwnedRow] | None, generation: int | None
) -> None:
    assert acquired_generation(rows, guest(7)) == generation


ROWS = st.lists(st.builds(row, st.integers(1, 5), st.integers(1, 3)), unique_by=lambda r: r.vm_id)
GUESTS = st.lists(
    st.builds(lambda v, g, a: guest(v, g, alive=a), st.integers(1, 5), st.integers(1, 3),
              st.booleans()),
    unique_by=lambda g: (g.vm_id, g.generation),
)  # fmt: skip


@given(ROWS | st.none(), GUESTS)
def test_whatever_is_found_ends_in_order(
    rows: list[OwnedRow] | None, found: list[FoundGuest]
) -> None:
    decisions = decide(rows, found)
    kept = {(d.vm_id, d.generation) for d in decisions if isinstance(d, Adopt)}
    ended = {(d.vm_id, d.generation) for d in decisions if isinstance(d, EndGuest)}
    released = {(d.vm_id, d.generation) for d in decisions if isinstance(d, MarkStopped)}
    alive = {(g.vm_id, g.generation) for g in found if g.alive}
    assert kept | ended == {(g.vm_id, g.generation) for g in found}
    assert kept <= alive
    assert not kept & ended
    if rows is None:
        assert kept == alive
        assert not released
    else:
        owned = {(r.vm_id, r.generation) for r in rows}
        assert kept | released == owned
        assert not kept & released
        assert len({vm for vm, _ in kept}) == len(kept)
    kinds = [type(d) for d in decisions]
    assert MarkStopped not in kinds or EndGuest not in kinds[kinds.index(MarkStopped) :]
