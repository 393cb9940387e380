"""Exchanges the first messages of a connection over its pipe; the caller limits the time."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Final, TypeVar

from qvdnode.model.errors import Unavailable
from qvdnode.peer.ports import Purpose
from qvdnode.runtime.clock import Clock
from qvdnode.tls.stream_pipe import StreamPipe
from qvdnode.wire.peer_hello import (
    HEADER_BYTES,
    OLDEST,
    REMOVED,
    VERSION,
    Hello,
    HelloAnswer,
    HelloError,
    Message,
    agreed_version,
    body_bytes,
    frame,
    parse,
)

M = TypeVar("M", bound=Message)

PROGRAM: Final = version("qvdnode")
CLOCK_LIMIT_S: Final = 60.0
"""A greater difference between the clocks of two nodes is reported."""


async def receive(pipe: StreamPipe, kind: type[M]) -> M:
    """The next message; raises HelloError, EOFError, ConnectionError."""
    header = await pipe.read_exactly(HEADER_BYTES)
    return parse(kind, await pipe.read_exactly(body_bytes(header)))


def send(pipe: StreamPipe, message: Message) -> None:
    """Send a message."""
    pipe.write(frame(message))


async def introduce(
    pipe: StreamPipe,
    farm: str,
    purpose: Purpose,
    clock: Clock,
    *,
    removed: Callable[[], None] | None = None,
) -> HelloAnswer:
    """Say hello as the end that dialled; raises Unavailable with the other end's refusal.

    `removed` is called first when this node is refused because it was removed from the farm.
    Raises HelloError, EOFError, ConnectionError too.
    """
    send(pipe, Hello(OLDEST, VERSION, farm, purpose, PROGRAM, time_ms(clock)))
    answer = await receive(pipe, HelloAnswer)
    if not answer.version:
        if answer.code == REMOVED and removed is not None:
            removed()
        raise Unavailable(answer.refusal or "it refuses the connection without a reason")
    if agreed_version(answer.version, answer.version) is None:
        raise HelloError(f"an answer in version {answer.version}")
    return answer


def answer(
    clock: Clock, *, version: int = 0, refusal: str = "", authority: str = "", code: str = ""
) -> HelloAnswer:
    """An answer to a hello."""
    return HelloAnswer(version, refusal, PROGRAM, time_ms(clock), authority, code)


def time_ms(clock: Clock) -> int:
    """The wall clock as messages carry it."""
    return round(clock.now().timestamp() * 1000)


def clock_difference(told_ms: int, clock: Clock) -> str | None:
    """What is wrong with the other node's clock, or this one's; None when they agree."""
    ahead_s = told_ms / 1000 - clock.now().timestamp()
    if abs(ahead_s) <= CLOCK_LIMIT_S:
        return None
    return (
        f"its clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} this host's:"
        " run a time service, such as chrony, on both"
    )


def tls_error_text(error: str) -> str:
    """What a reason of OpenSSL's means here."""
    return next((text for word, text in TLS_TEXTS if word in error.upper()), f"TLS failed: {error}")


TLS_TEXTS: Final = (
    ("EXPIRED", "a certificate has expired: start that node again, and check both clocks"),
    ("NOT YET", "a certificate is not valid yet: check both clocks"),
    ("SELF-SIGNED", "its certificate is not of this farm"),
    ("ISSUER", "its certificate is not of this farm"),
    ("UNKNOWN_CA", "it refuses this node's certificate, which is not of its farm"),
    ("ALERT_BAD_CERTIFICATE", "it refuses this node's certificate"),
    ("VERIFY_FAILED", "its certificate is not of this farm"),
    ("PROTOCOL", "it does not speak TLS 1.3; is that the peer port?"),
    ("WRONG_VERSION", "it does not speak TLS; is that the peer port?"),
    ("RECORD", "it does not speak TLS; is that the peer port?"),
    ("CONNECTION WAS CLOSED", "it closed the connection"),
)
"""OpenSSL's reasons, or texts of its verification, by a part of them in capitals."""
