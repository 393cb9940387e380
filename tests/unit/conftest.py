"""Unit tests have no world: a socket to anywhere is refused."""

import socket

import pytest

REACHING_OUT = ("bind", "connect", "connect_ex", "listen", "sendto")


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse the calls that reach out; the loop's own socket pair needs none of them."""

    def refuse(*_args: object, **_named: object) -> None:
        raise AssertionError(
            "a unit test opens no socket: hand in a fake, or move the test to tests/integration"
        )

    for name in REACHING_OUT:
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
