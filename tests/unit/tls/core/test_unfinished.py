"""Half-open connections are bounded, and a flood costs only its own source."""

from hypothesis import given
from hypothesis import strategies as st

from qvdnode.tls.core.unfinished import Unfinished


def test_the_oldest_of_a_crowded_source_goes() -> None:
    register = Unfinished(per_source_max=2, total_max=10)
    assert register.add("a1", "a") is None
    assert register.add("b1", "b") is None
    assert register.add("a2", "a") is None
    assert register.add("a3", "a") == "a1"


def test_in_total_the_most_crowded_source_pays() -> None:
    register = Unfinished(per_source_max=3, total_max=3)
    register.add("b1", "b")
    register.add("a1", "a")
    register.add("a2", "a")
    assert register.add("c1", "c") == "a1"


def test_who_is_through_does_not_count() -> None:
    register = Unfinished(per_source_max=2, total_max=2)
    register.add("a1", "a")
    register.add("a2", "a")
    register.remove("a1", "a")
    register.remove("a1", "a")
    assert register.add("a3", "a") is None
    register.remove("a2", "a")
    register.remove("a3", "a")
    assert register.add("b1", "b") is None
    assert len(register) == 1


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc"), st.booleans())))
def test_it_stays_within_bounds_whatever_comes(steps: list[tuple[int, str, bool]]) -> None:
    register = Unfinished(per_source_max=3, total_max=5)
    inside: set[tuple[int, str]] = set()
    for number, source, comes in steps:
        key = (number, source)
        if comes and key not in inside:
            inside.add(key)
            out = register.add(key, source)
            if out is not None:
                assert out in inside
                register.remove(out, out[1])
                inside.discard(out)
        elif not comes:
            register.remove(key, source)
            inside.discard(key)
        assert len(register) == len(inside) <= 5
