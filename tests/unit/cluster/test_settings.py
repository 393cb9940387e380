import pytest

from qvdnode.cluster.settings import ClusterSettings


def test_the_defaults_leave_room_for_two_renewals() -> None:
    assert ClusterSettings().lease_ttl_s == 15.0


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"lease_ttl_s": 7.0}, "room for two renewals"),
        ({"lease_renew_s": 0.0}, "greater than 0"),
        ({"lease_margin_s": -1.0}, "greater than 0"),
        ({"placement_sample": 0}, "at least 1"),
    ],
)
def test_a_lease_that_cannot_be_kept_is_refused(settings: dict[str, float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ClusterSettings(**settings)  # type: ignore[arg-type]  # one field of each kind at a time
