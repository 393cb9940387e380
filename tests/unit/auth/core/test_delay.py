"""How long whoever failed must wait."""

import pytest

from qvdnode.auth.core.delay import delay_s


@pytest.mark.parametrize(
    ("failures", "wait_s"), [(0, 0), (4, 0), (5, 1), (6, 2), (10, 32), (11, 60), (5_000, 60)]
)
def test_the_wait_doubles_up_to_its_limit(failures: int, wait_s: float) -> None:
    assert delay_s(failures, free=5, delay_max_s=60) == wait_s
