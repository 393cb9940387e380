"""Each decoder of outside bytes keeps its promise, on its seeds and on any damage to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.targets import TARGETS

CUTS_MAX = 250
LONG = 4096
FEW = 5


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_on_its_seeds(name: str) -> None:
    target = TARGETS[name]
    assert target.seeds
    for seed in target.seeds:
        step = len(seed) // (CUTS_MAX if len(seed) <= LONG else FEW) + 1
        for cut in (*range(0, len(seed), step), len(seed)):
            target.check(seed[:cut])


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
def test_a_target_holds_on_damaged_seeds(name: str, data: st.DataObject) -> None:
    target = TARGETS[name]
    seed = data.draw(st.sampled_from(target.seeds))
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, min(len(seed), start + 20)))
    target.check(seed[:start] + data.draw(st.binary(max_size=20)) + seed[end:])


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=300))
def test_a_target_holds_on_any_bytes(name: str, data: bytes) -> None:
    TARGETS[name].check(data)
