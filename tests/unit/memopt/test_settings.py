import pytest

from qvdnode.memopt.settings import MemorySettings


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"overcommit": 0.0}, "overcommit"),
        ({"overcommit": 17.0}, "at most 16"),
        ({"host_reserve_mib": -1}, "negative"),
        ({"available_floor_mib": -1}, "negative"),
    ],
)
def test_nonsense_is_refused(wrong: dict[str, float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        MemorySettings(**wrong)  # type: ignore[arg-type]  # one field of each kind at a time
