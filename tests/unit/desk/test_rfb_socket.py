"""What is read and sent when the display's Xvnc has ended."""

import socket
from collections.abc import Iterator

import pytest

from qvdnode.desk.rfb_socket import received, sent


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The node's end, and Xvnc's."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


async def test_bytes_pass_both_ways(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(b"RFB 003.008\n")
    assert await received(ours) == b"RFB 003.008\n"
    assert await sent(ours, b"RFB 003.008\n")
    assert theirs.recv(64) == b"RFB 003.008\n"


async def test_a_display_that_was_killed_before_it_had_read_all_has_ended(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    """The kernel then reports a connection that was reset."""
    ours, theirs = ends
    assert await sent(ours, b"a key")
    theirs.close()
    assert await received(ours) == b""
    assert not await sent(ours, b"another key")
