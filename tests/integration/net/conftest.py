"""Fixtures of the network tests."""

from tests.fixtures_netns import bare_lab, lab

__all__ = ["bare_lab", "lab"]
