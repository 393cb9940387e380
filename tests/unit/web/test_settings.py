"""The ranges of `[web]`."""

import pytest

from qvdnode.web.settings import WebSettings


@pytest.mark.parametrize(
    "wrong",
    [
        {"session_idle_s": 59.0},
        {"session_life_s": 600.0},
        {"session_life_s": 1e9},
        {"sessions_per_owner": 0},
        {"link_life_s": 1.0},
    ],
)
def test_values_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        WebSettings(**wrong)  # type: ignore[arg-type]  # a count is an int
