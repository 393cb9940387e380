"""The fuzz targets hold on their own seeds, so that `make fuzz` never starts broken."""

import pytest

from fuzz.targets import SEEDS, TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_on_its_seeds(name: str) -> None:
    assert SEEDS[name]
    for seed in SEEDS[name]:
        for cut in range(len(seed) + 1):
            TARGETS[name](seed[:cut])
