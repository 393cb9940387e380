"""One TLS connection to a node: checks its certificate, sends requests, then carries NX."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from qvdnode.client.core.certificate_refusal import Untrusted, untrusted
from qvdnode.client.core.refusal import error_of
from qvdnode.client.pins import another_pin
from qvdnode.client.target import Target
from qvdnode.client.trust import Trust, any_certificate
from qvdnode.model.desktop import DesktopEntry, SessionEnd
from qvdnode.model.errors import TimedOut, Unavailable
from qvdnode.model.ids import VmId
from qvdnode.model.seat import Progress
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.os_errors import connect_error_text
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.tls.pin import fingerprint_of
from qvdnode.wire.qvd_client import (
    Answered,
    AnswerReader,
    BadAnswer,
    Progressed,
    Switched,
    parse_desktops,
    parse_session_end,
    request_head,
)

DIAL_LIMIT_S: Final = 15.0
NEXT_ADDRESS_S: Final = 0.25
"""A name's next address is tried beside one that is silent for so long, as RFC 8305 advises."""
ANSWER_LIMIT_S: Final = 60.0
END_LIMIT_S: Final = 5.0
"""For the answer to why a session ended; without one the client shows a general text."""
CONNECT_LIMIT_S: Final = 600.0
PIECE_BYTES: Final = 1 << 16

# A link that went silent is noticed within 15 s: a host that died, a laptop that was moved, a NAT
# that forgot. The desktop runs on meanwhile, and it costs little to connect again.
KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 13_000),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)


class _Streams(asyncio.StreamReaderProtocol):
    """Notes whether the server sent close_notify or the connection just ended."""

    got_close_notify = False
    tls: ssl.SSLObject | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.tls = transport.get_extra_info("ssl_object")
        super().connection_made(transport)

    def eof_received(self) -> bool | None:
        # asyncio reports both kinds of end alike; only after close_notify does TLS return EOF.
        with contextlib.suppress(ssl.SSLError):
            self.got_close_notify = self.tls is not None and self.tls.read(1) == b""
        return super().eof_received()


class QvdLink:
    """A dialled connection; ends with its `async with` scope."""

    def __init__(
        self, target: Target, protocol: _Streams, streams: "Streams", round_trip_s: float
    ) -> None:
        self.target = target
        self.round_trip_s = round_trip_s
        self._protocol = protocol
        self.reader, self.writer = streams
        self._answers = AnswerReader()

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the certificate that the server showed."""
        tls = self.writer.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True)
        return fingerprint_of(der or b"")

    @property
    def got_close_notify(self) -> bool:
        """Whether the server closed the stream on purpose. False for a link that dropped."""
        return self._protocol.got_close_notify

    async def desktops(self, authorization: str) -> tuple[DesktopEntry, ...]:
        """The user's desktops and applications; raises as `refusal.error_of` and BadAnswer."""
        found: tuple[DesktopEntry, ...] = ()
        for path in ("/qvd/list_of_vm", "/qvd/list_of_applications"):
            head = request_head(path, {}, authorization)
            answer = await self._ask(head, _silent, ANSWER_LIMIT_S)
            if isinstance(answer, Switched):
                raise BadAnswer("The server switched protocols without being asked to.")
            found += parse_desktops(answer.body)
        return found

    async def session_end(self, vm_id: VmId, authorization: str) -> SessionEnd:
        """Ask how the last session ended; raises as `desktops`."""
        head = request_head("/qvd/session_end", {"id": str(vm_id)}, authorization)
        answer = await self._ask(head, _silent, END_LIMIT_S)
        if isinstance(answer, Switched):
            raise BadAnswer("The server switched protocols without being asked to.")
        return parse_session_end(answer.body)

    async def connect(
        self, query: Mapping[str, str], authorization: str, progress: Progress
    ) -> bytes:
        """Ask for a display; afterwards the streams carry NX. Returns NX bytes that came along."""
        head = request_head("/qvd/connect_to_vm", query, authorization, upgrade=True)
        answer = await self._ask(head, progress, CONNECT_LIMIT_S)
        if isinstance(answer, Answered):
            raise BadAnswer("The server answered without switching to NX.")
        return answer.rest

    async def _ask(self, head: bytes, progress: Progress, limit_s: float) -> Answered | Switched:
        try:
            async with TimeLimit(limit_s):
                self.writer.write(head)
                return await self._final(progress)
        except TimeoutError as error:
            raise TimedOut(f"{self.target} did not answer within {limit_s:g} s.") from error
        except (OSError, EOFError) as error:
            raise Unavailable(f"{self.target} hung up: {error}") from error

    async def _final(self, progress: Progress) -> Answered | Switched:
        while piece := await self.reader.read(PIECE_BYTES):
            for event in self._answers.receive(piece):
                match event:
                    case Progressed(sentence):
                        progress(sentence)
                    case Answered(status=200) | Switched():
                        return event
                    case Answered():
                        raise error_of(event)
        raise Unavailable(f"{self.target} hung up before it answered.")

    async def __aenter__(self) -> Self:
        """Nothing to do: it is dialled."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hang up; what the server has not read yet is dropped."""
        self.writer.transport.abort()


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def dial(target: Target, trust: Trust, clock: Clock) -> QvdLink:
    """Connect with TLS; nothing is sent to a server that `trust` does not accept.

    Raises Forbidden for one with another pin, Untrusted for one that no authority vouches for, and
    Unavailable when nobody answers there.
    """
    if trust.pin is None:
        return await _shaken(target, trust.authorities or any_certificate(), clock)
    link = await _shaken(target, any_certificate(), clock)
    if link.fingerprint == trust.pin:
        return link
    seen = link.fingerprint
    link.writer.transport.abort()
    if trust.authorities is not None:
        with contextlib.suppress(Untrusted):
            return await _shaken(target, trust.authorities, clock)
    raise another_pin(target, seen, trust.pin)


async def _shaken(target: Target, context: ssl.SSLContext, clock: Clock) -> QvdLink:
    try:
        async with TimeLimit(DIAL_LIMIT_S):
            return await _dial(target, context, clock)
    except TimeoutError as error:
        raise Unavailable(f"{target} does not answer.") from error
    except ssl.SSLCertVerificationError as error:
        raise untrusted(str(target), error.verify_code, error.verify_message) from error
    except ssl.SSLError as error:
        raise Unavailable(f"{target} does not speak TLS as it should: {error.reason}") from error
    except OSError as error:
        raise Unavailable(f"{target} cannot be reached: {connect_error_text(error)}") from error


async def _dial(target: Target, context: ssl.SSLContext, clock: Clock) -> QvdLink:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=PIECE_BYTES)
    protocol = _Streams(reader)
    began_s = clock.monotonic_s()
    plain, _ = await loop.create_connection(
        asyncio.Protocol, target.host, target.port, happy_eyeballs_delay=NEXT_ADDRESS_S
    )
    # One round trip for TCP; what name lookup adds makes the guess careful, not wrong.
    round_trip_s = clock.monotonic_s() - began_s
    sock = plain.get_extra_info("socket")
    for level, option, value in KEEPALIVE:
        sock.setsockopt(level, option, value)
    try:
        transport = await loop.start_tls(plain, protocol, context, server_hostname=target.host)
    except BaseException:
        plain.abort()
        raise
    if transport is None:
        raise ConnectionResetError("hung up")
    protocol.connection_made(transport)
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    return QvdLink(target, protocol, (reader, writer), round_trip_s)


def _silent(sentence: str) -> None:
    """Ignore progress."""
