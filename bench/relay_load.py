"""Load for a TLS relay: many clients on one side, displays on the other, in one thread.

A client decrypts only the data that it must understand: in the timed part it sends records that it
encrypted before, and counts ciphertext. So the load costs much less than the relay, and the bench
measures the relay.
"""

import contextlib
import select
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

GREETING: Final = b"NXPROXY-3.5.0-3.5.99 stream=default,data=default "
REPLY: Final = b"NXPROXY-3.5.0-3.5.99 link=LAN "
MESSAGE_BYTES: Final = 1024
RECEIVE_BYTES: Final = 1 << 20
RECORD_MAX: Final = 17 * 1024
STALL_S: Final = 20.0

Opening = Callable[[int], bytes]
"""What a client of a number sends before its NX greeting; empty where nothing is due."""
Turns = Iterator[None]
"""One end of a stream: goes on each time it has something to read."""


@dataclass
class Client:
    """One TLS connection to the relay under test."""

    number: int
    tcp: socket.socket
    tls: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO

    def pump(self) -> None:
        """Send what is encrypted, then take ciphertext once."""
        data = self.outgoing.read()
        if data:
            self.tcp.sendall(data)
        received = self.tcp.recv(RECEIVE_BYTES)
        if not received:
            raise ConnectionError("the relay closed the connection")
        self.incoming.write(received)

    def say(self, data: bytes) -> None:
        """Send plaintext."""
        self.tls.write(data)
        self.tcp.sendall(self.outgoing.read())

    def hear(self, end: bytes) -> bytes:
        """Plaintext up to and including `end`."""
        heard = b""
        while not heard.endswith(end):
            try:
                heard += self.tls.read(1)
            except ssl.SSLWantReadError:
                self.pump()
        return heard


def open_client(port: int, number: int, opening: Opening) -> Client:
    """A client that is through: TLS, request if due, greeting both ways."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    tcp = socket.create_connection(("127.0.0.1", port), timeout=STALL_S)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = Client(number, tcp, context.wrap_bio(incoming, outgoing), incoming, outgoing)
    while True:
        try:
            client.tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            client.pump()
    request = opening(number)
    if request:
        client.say(request)
        while b" 101 " not in client.hear(b"\r\n\r\n"):
            pass
    client.say(GREETING)
    return client


class Displays:
    """The listener behind the relay; a display answers the greeting."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listener.settimeout(STALL_S)
        self.port = int(self.listener.getsockname()[1])

    def accept(self) -> socket.socket:
        """The display's end of the next client that has greeted."""
        display, _ = self.listener.accept()
        display.settimeout(STALL_S)
        display.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        heard = b""
        while len(heard) < len(GREETING):
            heard += display.recv(len(GREETING) - len(heard))
        if heard != GREETING:
            raise ConnectionError(f"the display heard {heard!r}")
        display.sendall(REPLY)
        return display


@dataclass(frozen=True, slots=True)
class Pairs:
    """Clients and the displays they are connected to."""

    clients: list[Client]
    displays: list[socket.socket]

    def close(self) -> None:
        """End them all."""
        for end in [*(client.tcp for client in self.clients), *self.displays]:
            end.close()


def open_pairs(port: int, displays: Displays, numbers: range, opening: Opening) -> Pairs:
    """A stream through the relay for each number, greeted and idle."""
    pairs = Pairs([], [])
    for number in numbers:
        client = open_client(port, number, opening)
        pairs.clients.append(client)
        pairs.displays.append(displays.accept())
        client.hear(REPLY)
    return pairs


def bulk(pairs: Pairs, total_bytes: int) -> float:
    """Bytes per second from the displays to the clients, all streams at once."""
    chunk = memoryview(bytes(256 * 1024))
    buffer = bytearray(RECEIVE_BYTES)
    left = {display.fileno(): total_bytes // len(pairs.displays) for display in pairs.displays}
    received, wanted = 0, sum(left.values())
    with selectors.DefaultSelector() as ready:
        for display in pairs.displays:
            display.settimeout(0)
            ready.register(display, selectors.EVENT_WRITE, "display")
        for client in pairs.clients:
            client.tcp.settimeout(0)
            ready.register(client.tcp, selectors.EVENT_READ, "client")
        begun = time.perf_counter()
        while received < wanted:
            events = ready.select(STALL_S)
            if not events:
                raise TimeoutError("the relay moves nothing")
            for key, _ in events:
                end = key.fileobj
                assert isinstance(end, socket.socket)
                if key.data == "client":
                    received += end.recv_into(buffer)
                    continue
                with contextlib.suppress(BlockingIOError):
                    left[key.fd] -= end.send(chunk[: left[key.fd]])
                if not left[key.fd]:
                    ready.unregister(end)
        return wanted / (time.perf_counter() - begun)


def round_trips(pairs: Pairs, each: int) -> tuple[float, list[float]]:
    """1 KiB there and back, `each` times per stream: round trips per second, and each one's time
    in seconds."""
    times: list[float] = []
    turns: dict[int, Turns] = {}
    for display in pairs.displays:
        display.settimeout(0)
        turns[display.fileno()] = _echo(display)
    for client in pairs.clients:
        client.tcp.settimeout(0)
        turns[client.tcp.fileno()] = _ask(client, _encrypted(client, each), times)
    wanted = each * len(pairs.clients)
    with select.epoll() as ready:
        for descriptor in turns:
            ready.register(descriptor, select.EPOLLIN | select.EPOLLET)
        begun = time.perf_counter()
        for turn in turns.values():
            next(turn)
        while len(times) < wanted:
            events = ready.poll(STALL_S)
            if not events:
                raise TimeoutError("the relay lost a message")
            for descriptor, _ in events:
                next(turns[descriptor])
        return wanted / (time.perf_counter() - begun), times


def _encrypted(client: Client, count: int) -> list[bytes]:
    """The records of that many messages, ahead of time."""
    records = []
    for _ in range(count):
        client.tls.write(bytes(MESSAGE_BYTES))
        records.append(client.outgoing.read())
    return records


def _echo(display: socket.socket) -> Turns:
    """Send back what comes."""
    receive, send, buffer = display.recv_into, display.send, memoryview(bytearray(RECORD_MAX))
    while True:
        yield
        send(buffer[: receive(buffer)])


def _ask(client: Client, records: list[bytes], times: list[float]) -> Turns:
    """Send one message after the other, each when the answer to the one before is whole."""
    receive, send, buffer = client.tcp.recv_into, client.tcp.send, bytearray(RECORD_MAX)
    now = time.perf_counter
    for record in records:
        # An echo takes as much ciphertext as the message did: the same cipher, one record each.
        missing = len(record)
        sent_at = now()
        send(record)
        while missing > 0:
            yield
            missing -= receive(buffer)
        times.append(now() - sent_at)
    yield
