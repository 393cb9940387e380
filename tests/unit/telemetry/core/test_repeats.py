"""A flood of equal events makes a few lines, and none is lost from the count."""

from hypothesis import given
from hypothesis import strategies as st

from qvdnode.telemetry.core.repeats import Repeat, Repeats

WINDOW_S = 10.0


def test_the_first_is_written_at_once_and_the_others_as_a_count() -> None:
    repeats = Repeats(window_s=WINDOW_S, sources_max=2)
    assert repeats.note("dropped", "a", "too many", 0.0) == Repeat("dropped", 1, ("a",), "too many")
    for number in range(1_000):
        assert repeats.note("dropped", "bcd"[number % 3], "too many", 1.0) is None
    assert repeats.due(9.9) == []
    assert repeats.due(10.0) == [Repeat("dropped", 1_000, ("b", "c"), "too many")]
    assert repeats.due(11.0) == []


def test_after_a_quiet_window_the_next_is_written_at_once_again() -> None:
    repeats = Repeats(window_s=WINDOW_S, sources_max=2)
    assert repeats.note("dropped", "a", "", 0.0) is not None
    assert repeats.note("dropped", "a", "", 1.0) is None
    assert [repeat.count for repeat in repeats.due(10.0)] == [1]
    assert repeats.due(20.0) == []
    assert repeats.note("dropped", "a", "", 20.0) is not None


def test_kinds_are_apart() -> None:
    repeats = Repeats(window_s=WINDOW_S, sources_max=2)
    assert repeats.note("dropped", "a", "", 0.0) is not None
    assert repeats.note("bad_head", "a", "", 0.0) is not None


@given(st.lists(st.tuples(st.sampled_from("xy"), st.floats(0, 20))))
def test_every_event_is_counted_once(steps: list[tuple[str, float]]) -> None:
    repeats = Repeats(window_s=WINDOW_S, sources_max=1)
    now_s, told = 0.0, 0
    for kind, later_s in steps:
        now_s += later_s
        told += sum(repeat.count for repeat in repeats.due(now_s))
        told += repeats.note(kind, "a", "", now_s) is not None
    told += sum(repeat.count for repeat in repeats.due(now_s + WINDOW_S))
    assert told == len(steps)
