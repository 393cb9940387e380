"""Nobody's descriptors are somebody else's, however few there are."""

from hypothesis import given
from hypothesis import strategies as st

from qvdnode.host.core.descriptor_budget import connections, divide, least, needed

WISHES = {"guests": 16_384, "clients": 40_000, "admin": 512}
FIXED = 200


def test_with_enough_for_all_each_has_its_wish() -> None:
    assert needed(FIXED, WISHES) == 57_096
    assert divide(57_096, FIXED, WISHES) == WISHES
    assert divide(1_000_000, FIXED, WISHES) == WISHES


def test_with_a_thousand_each_has_a_third_of_what_is_not_set_aside() -> None:
    assert divide(1_000, FIXED, WISHES) == {"guests": 267, "clients": 267, "admin": 266}


def test_a_small_request_is_granted_in_full_and_the_rest_is_shared() -> None:
    assert divide(4_000, FIXED, WISHES) == {"guests": 1_644, "clients": 1_644, "admin": 512}


def test_below_the_least_there_is_nothing_to_share() -> None:
    assert least(FIXED, WISHES) == FIXED + 3 * 64
    assert least(FIXED, {"admin": 10}) == FIXED + 10
    assert divide(100, FIXED, WISHES) == {"guests": 0, "clients": 0, "admin": 0}


def test_a_port_with_fewer_connections_keeps_half_of_them_for_logins() -> None:
    assert connections(256, 1_024, 20_000, 20_000) == (256, 1_024, 20_000)
    assert connections(256, 1_024, 20_000, 133) == (66, 66, 133)
    assert connections(16, 1_024, 20_000, 133) == (16, 66, 133)
    assert connections(1, 1, 2, 0) == (1, 1, 2)


@given(
    st.integers(0, 100_000),
    st.integers(0, 1_000),
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 50_000)),
)
def test_no_more_is_given_than_there_is_and_the_poorest_lacks_least(
    limit: int, fixed: int, wishes: dict[str, int]
) -> None:
    shares = divide(limit, fixed, wishes)
    assert sum(shares.values()) <= max(0, limit - fixed)
    assert all(shares[name] <= wish for name, wish in wishes.items())
    short = [name for name, wish in wishes.items() if shares[name] < wish]
    assert all(shares[name] + 1 >= other for name in short for other in shares.values())
