"""Sends and receives packets in network namespaces of a test."""

import contextlib
import errno
import socket
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

from tests.fixtures_netns import Lab, Namespace
from tests.integration.net import frames
from tests.waiting import until


class Listener:
    """Collects the packets that arrive at a socket."""

    def __init__(self, listening: socket.socket) -> None:
        self._socket = listening
        self._heard: list[bytes] = []

    def heard(self, mark: bytes) -> bool:
        """Whether a packet with this mark has arrived."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._heard.append(self._socket.recv(65_535))
        return any(mark in data for data in self._heard)

    def heard_anew(self, mark: bytes) -> bool:
        """Whether a packet with this mark has arrived since the last call."""
        found = self.heard(mark)
        self._heard.clear()
        return found


@contextlib.contextmanager
def frame_listener(where: Namespace, link: str) -> Iterator[Listener]:
    """Receive every frame that arrives at a link."""
    with where.socket(
        socket.AF_PACKET, socket.SOCK_RAW, frames.packet_socket_protocol()
    ) as listening:
        listening.bind((link, 3))
        yield Listener(listening)


@contextlib.contextmanager
def udp_listener(where: Namespace, port: int) -> Iterator[Listener]:
    """Receive datagrams on any address of a namespace."""
    with where.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("0.0.0.0", port))
        yield Listener(listening)


def send_frame(where: Namespace, link: str, frame: bytes) -> None:
    """Send a raw frame on a link."""
    with where.socket(socket.AF_PACKET, socket.SOCK_RAW) as speaking:
        speaking.bind((link, 0))
        speaking.send(frame)


def send_datagram(
    where: Namespace, target: IPv4Address, port: int, payload: bytes, *, source_port: int = 0
) -> None:
    """Send a UDP datagram the ordinary way."""
    with where.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaking:
        speaking.bind(("0.0.0.0", source_port))
        # Our own rules refuse a local sender by an error.
        with contextlib.suppress(PermissionError):
            speaking.sendto(payload, (str(target), port))


class Dialling:
    """A TCP connection being opened."""

    def __init__(self, where: Namespace, target: IPv4Address, port: int) -> None:
        self.socket = where.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.error = self.socket.connect_ex((str(target), port))

    def connected(self) -> bool:
        """Whether the other end has answered."""
        if self.error not in {0, errno.EINPROGRESS}:
            return False
        try:
            self.socket.getpeername()
        except OSError:
            return False
        return True

    def __enter__(self) -> "Dialling":
        """Keep it open for a while."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.socket.close()


@contextlib.contextmanager
def tcp_listener(where: Namespace, port: int) -> Iterator[socket.socket]:
    """Accepts connections on any address of a namespace."""
    with where.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("0.0.0.0", port))
        listening.listen()
        yield listening


def received(where: socket.socket) -> bytes:
    """What has come, if anything."""
    try:
        return where.recv(4096)
    except BlockingIOError:
        return b""


async def assert_stopped(
    lab: Lab, attack: Callable[[], object], arrived: Callable[[], bool], *, reason: str
) -> None:
    """An attack succeeds without our rules, and with them is dropped for this reason.

    `arrived` tells whether it has succeeded since it was last asked.
    """

    def success() -> bool:
        attack()
        return arrived()

    async def counted() -> int:
        return (await lab.confinement.dropped())[reason]

    await lab.lift_rules()
    await until(success, what="the attack, without rules")
    await lab.impose_rules()
    arrived()
    assert (await lab.confinement.dropped())[reason] == 0
    attack()
    await until(counted, what=f"a packet dropped by {reason}")
    assert not arrived()
