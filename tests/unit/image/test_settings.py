import pytest

from qvdnode.image.settings import ImageSettings, SizeLimits


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"free_floor_mib": -1}, "negative"),
        ({"free_alarm_mib": 2_047}, "0 or at least free_floor_mib"),
        ({"disk_overcommit": 0.0}, "disk_overcommit"),
        ({"disk_overcommit": 17.0}, "at most 16"),
        ({"disk_preallocate": True, "size_limits": SizeLimits.PROJECT}, "loop"),
    ],
)
def test_nonsense_is_refused(wrong: dict[str, float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ImageSettings(**wrong)  # type: ignore[arg-type]  # one field of each kind at a time


def test_the_alarm_mark_is_above_the_floor_without_being_told() -> None:
    assert ImageSettings(free_floor_mib=500).alarm_mib == 1_000
    assert ImageSettings(free_floor_mib=500, free_alarm_mib=600).alarm_mib == 600
