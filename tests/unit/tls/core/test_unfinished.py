"""Half-open connections are bounded, and a flood costs only its own source."""

from hypothesis import given
from hypothesis import strategies as st

from qvdnode.tls.core.unfinished import Unfinished

A, B, C = "192.0.2.1", "192.0.2.2", "2001:db8::3"


def test_the_oldest_of_a_crowded_source_goes() -> None:
    register = Unfinished(per_source_max=2, total_max=10)
    assert register.add("a1", A) is None
    assert register.add("b1", B) is None
    assert register.add("a2", A) is None
    assert register.add("a3", A) == "a1"


def test_in_total_the_most_crowded_source_pays() -> None:
    register = Unfinished(per_source_max=3, total_max=3)
    register.add("b1", B)
    register.add("a1", A)
    register.add("a2", A)
    assert register.add("c1", C) == "a1"


def test_who_is_through_does_not_count() -> None:
    register = Unfinished(per_source_max=2, total_max=2)
    register.add("a1", A)
    register.add("a2", A)
    register.remove("a1", A)
    register.remove("a1", A)
    assert register.add("a3", A) is None
    register.remove("a2", A)
    register.remove("a3", A)
    assert register.add("b1", B) is None
    assert len(register) == 1


def test_another_address_of_the_same_64_is_the_same_source() -> None:
    register = Unfinished(per_source_max=2, total_max=10)
    assert register.add("1", "2001:db8::1") is None
    assert register.add("2", "2001:db8::2") is None
    assert register.add("3", "2001:db8::3") == "1"


def test_whoever_owns_a_48_has_sixteen_times_the_limit() -> None:
    register = Unfinished(per_source_max=1, total_max=100)
    ended = [register.add(number, f"2001:db8:0:{number:x}00::1") for number in range(17)]
    assert ended == [None] * 16 + [0]


def test_an_ipv4_client_of_an_ipv6_listener_counts_as_such() -> None:
    register = Unfinished(per_source_max=1, total_max=10)
    assert register.add("1", "::ffff:192.0.2.1") is None
    assert register.add("2", "::ffff:192.0.2.2") is None
    assert register.add("3", "192.0.2.1") == "1"


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from((A, B, C)), st.booleans())))
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
                assert isinstance(out, tuple)
                register.remove(out, out[1])
                inside.discard(out)
        elif not comes:
            register.remove(key, source)
            inside.discard(key)
        assert len(register) == len(inside) <= 5
