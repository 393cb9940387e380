import pytest

from qvdnode.memopt.settings import MemorySettings


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"overcommit": 0.0}, "overcommit"),
        ({"overcommit": 17.0}, "at most 16"),
        ({"host_reserve_mib": -1}, "negative"),
        ({"available_floor_mib": -1}, "negative"),
        ({"limit_mib": -1}, "negative"),
        ({"warm_pct": 101}, "warm_pct must be 0 to 100"),
        ({"credit_pct": -1}, "credit_pct"),
        ({"warm_pct": 20, "squeeze_pct": 21}, "must not be greater than warm_pct"),
        ({"zram_pct": 401}, "zram_pct must be 0 to 400"),
        ({"ksm_cpu_pct": 0}, "ksm_cpu_pct must be 1 to 100"),
    ],
)
def test_nonsense_is_refused(wrong: dict[str, float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        MemorySettings(**wrong)  # type: ignore[arg-type]  # one field of each kind at a time
