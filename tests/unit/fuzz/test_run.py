"""How the time of a fuzz run is shared out."""

import importlib

import pytest

from fuzz.run import shares
from fuzz.target import PIECES_MAX, Target, pieces
from fuzz.targets import TARGETS


def nothing(_data: bytes) -> None:
    """Keeps every promise."""


def test_time_is_shared_by_weight_and_nobody_goes_without() -> None:
    targets = {"a": Target(nothing, ()), "b": Target(nothing, (), weight=4)}
    assert shares(targets, 50) == {"a": 10, "b": 40}
    assert shares(targets, 1) == {"a": 1, "b": 1}


def test_a_minute_is_about_a_minute() -> None:
    assert sum(shares(TARGETS, 60).values()) < 90


def test_no_seed_is_longer_than_what_is_tried() -> None:
    for name, target in TARGETS.items():
        assert max(map(len, target.seeds)) <= target.size_max, name


def test_many_bytes_arrive_in_bounded_pieces() -> None:
    assert pieces(b"abc") == [b"a", b"b", b"c"]
    assert b"".join(pieces(bytes(100_000))) == bytes(100_000)
    assert len(pieces(bytes(100_000))) <= PIECES_MAX


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_is_found_in_the_module_of_its_check(name: str) -> None:
    module = importlib.import_module(TARGETS[name].check.__module__)
    assert module.TARGETS[name] is TARGETS[name]
