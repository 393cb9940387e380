"""Half-open connections are bounded, and a flood costs only its own source."""

from hypothesis import given
from hypothesis import strategies as st

from qvdnode.tls.core.unauthenticated import UnauthenticatedConnections

A, B, C = "192.0.2.1", "192.0.2.2", "2001:db8::3"


def test_the_oldest_of_a_crowded_source_goes() -> None:
    table = UnauthenticatedConnections(per_source_max=2, total_max=10)
    assert table.add("a1", A) is None
    assert table.add("b1", B) is None
    assert table.add("a2", A) is None
    assert table.add("a3", A) == "a1"


def test_in_total_the_most_crowded_source_pays() -> None:
    table = UnauthenticatedConnections(per_source_max=3, total_max=3)
    table.add("b1", B)
    table.add("a1", A)
    table.add("a2", A)
    assert table.add("c1", C) == "a1"


def test_who_is_through_does_not_count() -> None:
    table = UnauthenticatedConnections(per_source_max=2, total_max=2)
    table.add("a1", A)
    table.add("a2", A)
    table.remove("a1", A)
    table.remove("a1", A)
    assert table.add("a3", A) is None
    table.remove("a2", A)
    table.remove("a3", A)
    assert table.add("b1", B) is None
    assert len(table) == 1


def test_another_address_of_the_same_64_is_the_same_source() -> None:
    table = UnauthenticatedConnections(per_source_max=2, total_max=10)
    assert table.add("1", "2001:db8::1") is None
    assert table.add("2", "2001:db8::2") is None
    assert table.add("3", "2001:db8::3") == "1"


def test_whoever_owns_a_48_has_sixteen_times_the_limit() -> None:
    table = UnauthenticatedConnections(per_source_max=1, total_max=100)
    ended = [table.add(number, f"2001:db8:0:{number:x}00::1") for number in range(17)]
    assert ended == [None] * 16 + [0]


def test_an_ipv4_client_of_an_ipv6_listener_counts_as_such() -> None:
    table = UnauthenticatedConnections(per_source_max=1, total_max=10)
    assert table.add("1", "::ffff:192.0.2.1") is None
    assert table.add("2", "::ffff:192.0.2.2") is None
    assert table.add("3", "192.0.2.1") == "1"


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from((A, B, C)), st.booleans())))
def test_it_stays_within_bounds_whatever_comes(steps: list[tuple[int, str, bool]]) -> None:
    table = UnauthenticatedConnections(per_source_max=3, total_max=5)
    inside: set[tuple[int, str]] = set()
    for number, source, comes in steps:
        key = (number, source)
        if comes and key not in inside:
            inside.add(key)
            out = table.add(key, source)
            if out is not None:
                assert out in inside
                assert isinstance(out, tuple)
                table.remove(out, out[1])
                inside.discard(out)
        elif not comes:
            table.remove(key, source)
            inside.discard(key)
        assert len(table) == len(inside) <= 5
