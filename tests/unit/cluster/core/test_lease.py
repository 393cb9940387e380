from hypothesis import given
from hypothesis import strategies as st

from qvdnode.cluster.core.lease import granted

TIMES = st.floats(0, 1e6)


def test_a_lease_counts_from_before_the_request_was_sent() -> None:
    lease = granted(asked_s=100.0, ttl_s=15.0, margin_s=2.0)
    assert lease.valid(112.9)
    assert not lease.valid(113.0)


@given(asked=TIMES, travel=st.floats(0, 60), now=TIMES)
def test_the_node_stops_before_others_may_take_over(
    asked: float, travel: float, now: float
) -> None:
    granted_at_database = asked + travel
    if granted(asked, 15.0, 2.0).valid(now):
        assert now < granted_at_database + 15.0
