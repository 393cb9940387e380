"""Login sources for tests."""

from qvdnode.auth.core.login_source import LoginSource
from qvdnode.model.source_network import source_networks

HERE = "192.0.2.1"


def login_source(account: str = "alice", source: str = HERE) -> LoginSource:
    """Who tries that account from there."""
    return LoginSource(account.encode(), source_networks(source))
