import pytest

from qvdnode.cluster.core.swim.timing import Timing

TIMING = Timing()


@pytest.mark.parametrize(("members", "seconds"), [(2, 4.0), (25, 5.6), (100, 8.0), (1000, 12.0)])
def test_a_suspicion_grows_with_the_farm(members: int, seconds: float) -> None:
    assert TIMING.suspicion_min_s(members) == pytest.approx(seconds, abs=0.01)


def test_confirmations_shorten_a_suspicion() -> None:
    spans = [TIMING.suspicion_s(25, count) for count in range(4)]
    assert spans[0] == pytest.approx(6 * 5.592, abs=0.01)
    assert spans == sorted(spans, reverse=True)
    assert spans[2] == spans[3] == pytest.approx(5.592, abs=0.01)


def test_too_few_members_to_confirm_do_not_wait_for_it() -> None:
    assert TIMING.suspicion_s(3, 0) == 4.0
    assert TIMING.suspicion_s(4, 0) == pytest.approx(24.0)


@pytest.mark.parametrize(("members", "times"), [(1, 4), (25, 8), (100, 12), (1000, 16)])
def test_a_rumour_is_told_more_often_in_a_large_farm(members: int, times: int) -> None:
    assert TIMING.retransmit_limit(members) == times


@pytest.mark.parametrize(
    ("members", "seconds"), [(1, 30), (32, 30), (33, 60), (100, 90), (1000, 180)]
)
def test_exchanges_are_rarer_in_a_large_farm(members: int, seconds: int) -> None:
    assert TIMING.exchange_s(members) == seconds


def test_values_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="probe_timeout_s"):
        Timing(probe_timeout_s=1.0)
    with pytest.raises(ValueError, match="relay_timeout_s"):
        Timing(relay_timeout_s=0.5)
    with pytest.raises(ValueError, match="packet_max_bytes"):
        Timing(packet_max_bytes=1401)
