"""A policy names the ways that are open."""

from qvdnode.model.transfer import Transfer


def test_each_policy_opens_its_ways() -> None:
    ways = {way: (way.into_desktop, way.out_of_desktop) for way in Transfer}
    assert ways == {
        Transfer.BOTH: (True, True),
        Transfer.IN: (True, False),
        Transfer.OUT: (False, True),
        Transfer.NONE: (False, False),
    }
