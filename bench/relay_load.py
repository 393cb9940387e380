"""Load for a TLS relay: many clients on one side, displays on the other, in one thread.

A client decrypts what it has to understand and no more: in the timed part it sends records that it
encrypted before, and counts ciphertext. So the load costs a fraction of the relay, which is then
what is measured.
"""

import contextlib
import selectors
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

GREETING: Final = b"NXPROXY-3.5.0-3.5.99 stream=default,data=default "
REPLY: Final = b"NXPROXY-3.5.0-3.5.99 link=LAN "
MESSAGE_BYTES: Final = 1024
RECEIVE_BYTES: Final = 1 << 20
RECORD_HEAD: Final = 5
STALL_S: Final = 20.0

Opening = Callable[[int], bytes]
"""What a client of a number sends before its NX greeting; empty where nothing is due."""


@dataclass
class Client:
    """One TLS connection to the relay under test."""

    number: int
    tcp: socket.socket
    tls: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    records: list[bytes] = field(default_factory=list)
    """Ciphertext of the messages still to be sent, the next one last."""
    expected: int = 0
    """Ciphertext bytes that are still missing from the current answer."""
    sent_at: float = 0.0

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


def open_pairs(port: int, displays: Displays, count: int, opening: Opening) -> Pairs:
    """So many streams through the relay, greeted and idle."""
    pairs = Pairs([], [])
    for number in range(1, count + 1):
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
    for client in pairs.clients:
        _encrypt_ahead(client, each)
    times: list[float] = []
    with selectors.DefaultSelector() as ready:
        for display in pairs.displays:
            display.settimeout(0)
            ready.register(display, selectors.EVENT_READ, None)
        for client in pairs.clients:
            client.tcp.settimeout(0)
            ready.register(client.tcp, selectors.EVENT_READ, client)
        begun = time.perf_counter()
        running = len(pairs.clients)
        for client in pairs.clients:
            _ask(client)
        while running:
            events = ready.select(STALL_S)
            if not events:
                raise TimeoutError("the relay lost a message")
            for key, _ in events:
                end = key.fileobj
                assert isinstance(end, socket.socket)
                if key.data is None:
                    end.send(end.recv(RECEIVE_BYTES))
                elif _answered(key.data, times) and not _ask(key.data):
                    running -= 1
        return len(times) / (time.perf_counter() - begun), times


def _encrypt_ahead(client: Client, count: int) -> None:
    message = bytes(MESSAGE_BYTES)
    client.records = []
    for _ in range(count):
        client.tls.write(message)
        client.records.append(client.outgoing.read())
    client.records.reverse()


def _ask(client: Client) -> bool:
    """Send the next message; False when there is none."""
    if not client.records:
        return False
    record = client.records.pop()
    # An echo takes as much ciphertext as the message did: the same cipher, one record each.
    client.expected = len(record)
    client.sent_at = time.perf_counter()
    client.tcp.send(record)
    return True


def _answered(client: Client, times: list[float]) -> bool:
    """Take what came; whether the answer is whole now."""
    client.expected -= len(client.tcp.recv(RECEIVE_BYTES))
    if client.expected > 0:
        return False
    times.append(time.perf_counter() - client.sent_at)
    return True
