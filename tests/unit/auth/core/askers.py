"""Askers for tests."""

from qvdnode.auth.core.attempt import Asker
from qvdnode.model.source_network import source_networks

HERE = "192.0.2.1"


def asker(account: str = "alice", source: str = HERE) -> Asker:
    """Who tries that account from there."""
    return Asker(account.encode(), source_networks(source))
