"""Tests that run at the same time have places apart, and a place is free again afterwards."""

from pathlib import Path

import pytest

from tests.places import place_of_ones_own


def test_nobody_gets_a_place_that_is_taken(tmp_path: Path) -> None:
    with place_of_ones_own(2, tmp_path) as first, place_of_ones_own(2, tmp_path) as second:
        assert {first, second} == {0, 1}
        with (
            pytest.raises(AssertionError, match="all 2 places"),
            place_of_ones_own(2, tmp_path),
        ):
            pass
    with place_of_ones_own(1, tmp_path) as again:
        assert again == 0
