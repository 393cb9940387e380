"""Unit tests have no world: a socket to anywhere is refused."""

import socket
from collections.abc import Iterator

import pytest

REACHING_OUT = ("bind", "connect", "connect_ex", "listen", "sendto")


@pytest.fixture(autouse=True, scope="package")
def _no_sockets() -> Iterator[None]:
    """Refuse the calls that reach out; the loop's own socket pair needs none of them."""

    def refuse(*_args: object, **_named: object) -> None:
        raise AssertionError(
            "a unit test opens no socket: hand in a fake, or move the test to tests/integration"
        )

    with pytest.MonkeyPatch.context() as patch:
        for name in REACHING_OUT:
            patch.setattr(socket.socket, name, refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield
