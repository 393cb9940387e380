"""A small network in namespaces, for what asks the host's routes."""

from tests.fixtures_netns import bare_lab

__all__ = ["bare_lab"]
