"""The log of changes."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.change import Change
from qvdnode.web.core.event_log import EventLog


def change(number: int) -> Change:
    return Change("vm", number, "update", {})


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 10))
def test_a_reader_goes_on_where_it_stopped_or_is_told(before: int, after: int, kept: int) -> None:
    log = EventLog("a", kept=kept)
    for number in range(before):
        log.add(change(number))
    last_id = log.last_id()
    added = [log.add(change(number)) for number in range(after)]
    assert log.after(last_id) == (added if after <= kept else None)


def test_ids_of_other_logs_and_nonsense_are_not_known() -> None:
    log = EventLog("a-b")
    log.add(change(1))
    assert log.after("a-b-1") == []
    for text in ("", "a-b-", "a-b-2", "b-0", "a-b--1", "a-b-1x", "a-b-" + "9" * 30, "a-b-²", "1"):
        assert log.after(text) is None


def test_after_a_gap_nobody_goes_on_from_before() -> None:
    log = EventLog("a")
    log.add(change(1))
    old = log.last_id()
    log.forget()
    assert log.after(old) is None
    new = log.last_id()
    assert log.after(new) == []
    assert log.after(new) == []
    added = log.add(change(2))
    assert log.after(new) == [added]


def test_a_reader_goes_on_at_another_node_by_the_keys_of_changes() -> None:
    """Which began to listen later, and numbers the changes for itself."""
    changes = [replace(change(number), key=f"k{number}") for number in range(4)]
    here, there = EventLog("here"), EventLog("there")
    seen = [here.add(one) for one in changes[:3]][-1]
    added = [there.add(one) for one in changes[1:]]
    assert seen.id == "k2"
    assert there.after(seen.id) == added[-1:]
    assert there.after("k0") is None, "it does not know what came between"
    assert there.after(added[-1].id) == []
