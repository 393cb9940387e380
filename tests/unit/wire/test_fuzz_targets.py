"""The fuzz targets hold on their own seeds, so that `make fuzz` never starts broken."""

import pytest

from fuzz.targets import TARGETS

CUTS_MAX = 250


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_on_its_seeds(name: str) -> None:
    target = TARGETS[name]
    assert target.seeds
    for seed in target.seeds:
        step = len(seed) // CUTS_MAX + 1
        for cut in (*range(0, len(seed), step), len(seed)):
            target.check(seed[:cut])
