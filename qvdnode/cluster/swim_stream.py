"""Stream messages of the membership: one encrypted message in each direction, then the end.

A message is its length, encrypted by itself, then the encrypted content. So a peer without a key of
the farm is refused after 33 bytes, before its content is buffered.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Final, Protocol, cast

from qvdnode.cluster.keyring import NONCE_BYTES, OVERHEAD_BYTES, Forged, Keyring

LENGTH_BYTES: Final = 4
HEADER_BYTES: Final = LENGTH_BYTES + OVERHEAD_BYTES
MESSAGE_MAX_BYTES: Final = 4 << 20
"""About 5,000 members with full metadata, 40,000 without."""
INBOUND_LIMIT_S: Final = 10.0
HEADER_LIMIT_S: Final = 2.0
"""How long a peer that has not proved a key may hold one of the inbound streams."""


class TooLarge(ValueError):
    """A message is longer than MESSAGE_MAX_BYTES."""


def seal_datagram(ring: Keyring, plain: bytes) -> bytes:
    """Encrypt a packet for UDP."""
    return ring.seal(plain, secrets.token_bytes(NONCE_BYTES))


def seal_message(ring: Keyring, plain: bytes) -> bytes:
    """Encrypt a message for TCP: its length, then its content."""
    body = seal_datagram(ring, plain)
    return seal_datagram(ring, len(body).to_bytes(LENGTH_BYTES)) + body


def body_bytes(ring: Keyring, header: bytes) -> int:
    """Return the length of the encrypted content after a header; raises Forged, TooLarge."""
    length = int.from_bytes(ring.open(header))
    if length > MESSAGE_MAX_BYTES:
        raise TooLarge(f"a message of {length} bytes")
    return length


class InboundOwner(Protocol):
    """Answers the streams that other members open."""

    @property
    def keyring(self) -> Keyring:
        """The keys that are valid now."""
        ...

    def answer(self, plain: bytes, source: tuple[str, int]) -> bytes | None:
        """Return the answer to a message, or None to close without one."""
        ...

    def refused(self, reason: str) -> None:
        """Count a refused stream."""
        ...


class InboundStream(asyncio.Protocol):
    """A stream that another member opened."""

    def __init__(self, owner: InboundOwner, lost: Callable[["InboundStream"], None]) -> None:
        self._owner = owner
        self._lost = lost
        self._received = bytearray()
        self._wanted_bytes: int | None = None
        self._transport: asyncio.Transport | None = None
        self._limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time limit for the header."""
        self._transport = cast("asyncio.Transport", transport)
        self._wait(HEADER_LIMIT_S)

    def data_received(self, data: bytes) -> None:
        """Buffer more of the message; answer once it is complete."""
        self._received += data
        try:
            if self._wanted_bytes is None and len(self._received) >= HEADER_BYTES:
                header = bytes(self._received[:HEADER_BYTES])
                self._wanted_bytes = body_bytes(self._owner.keyring, header)
                del self._received[:HEADER_BYTES]
                self._wait(INBOUND_LIMIT_S)
            if self._wanted_bytes is not None and len(self._received) >= self._wanted_bytes:
                self._answer(self._owner.keyring.open(bytes(self._received)))
        except Forged:
            self._refuse("forged")
        except TooLarge:
            self._refuse("too_large")

    def connection_lost(self, _error: Exception | None) -> None:
        """Stop the time limit and tell the owner."""
        if self._limit is not None:
            self._limit.cancel()
        self._lost(self)

    def abort(self) -> None:
        """Close the stream at once."""
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, plain: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        answer = self._owner.answer(plain, transport.get_extra_info("peername")[:2])
        if answer is None:
            transport.abort()
        else:
            # The time limit stays set: it ends a peer that does not read the answer.
            transport.write(seal_message(self._owner.keyring, answer))
            transport.close()

    def _wait(self, seconds: float) -> None:
        if self._limit is not None:
            self._limit.cancel()
        self._limit = asyncio.get_running_loop().call_later(seconds, self._refuse, "slow")

    def _refuse(self, reason: str) -> None:
        self._owner.refused(reason)
        self.abort()


async def ask(host: str, port: int, message: bytes, keyring: Callable[[], Keyring]) -> bytes:
    """Send an encrypted message and return the decrypted answer.

    Raises OSError, EOFError, Forged and TooLarge; the caller limits the time.
    """
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(message)
        await writer.drain()
        length = body_bytes(keyring(), await reader.readexactly(HEADER_BYTES))
        return keyring().open(await reader.readexactly(length))
    finally:
        writer.transport.abort()
