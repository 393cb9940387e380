"""Asks a node over UDP whether datagrams of a size arrive there, and come back.

`qvdnode doctor` asks, and any node of the farm answers with as many bytes as it got. Both ends
prove with the farm's key that they are of it, so nobody else gets an answer.
"""

import asyncio
import contextlib
import errno
import secrets
import socket
from typing import Final

from qvdnode.cluster.keyring import NONCE_BYTES, OVERHEAD_BYTES, Forged, Keyring
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.time_limit import TimeLimit

MARK: Final = b"\x02"
"""Begins these datagrams; those of the membership begin with the keyring's own format."""
QUESTION: Final = b"reach?"
ANSWER: Final = b"reach!"
HEAD_BYTES: Final = len(MARK) + OVERHEAD_BYTES + len(QUESTION)
TRIES: Final = 3
ANSWER_LIMIT_S: Final = 0.5
IP_MTU_DISCOVER: Final = 10
IP_PMTUDISC_DO: Final = 2
IPV6_MTU_DISCOVER: Final = 23
"""Of Linux's <linux/in.h> and <linux/in6.h>, which Python does not name."""


def reach_keyring(farm_id: str, farm_key: bytes) -> Keyring:
    """The ring for these datagrams; nothing that the key seals elsewhere opens with it."""
    return Keyring(f"{farm_id} reach", [farm_key])


def is_question(data: bytes) -> bool:
    """Whether a datagram may be one of these."""
    return data[:1] == MARK


def answer_to(data: bytes, ring: Keyring, nonce: bytes) -> bytes:
    """What to send back; raises Forged for what no node of the farm has asked."""
    plain = ring.open(data[1:])
    if not plain.startswith(QUESTION):
        raise Forged("no question")
    return MARK + ring.seal(ANSWER + plain[len(QUESTION) :], nonce)


async def reaches(
    host: str, port: int, size: int, ring: Keyring, clock: Clock, *, whole: bool = True
) -> float | None:
    """Seconds until a datagram of that size (its UDP content) is back; None when none comes.

    `whole` forbids routers to cut it into pieces. Raises OSError when it cannot be sent.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    family, _, _, _, address = found[0]
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        udp.setblocking(False)  # noqa: FBT003 - the call takes it so
        if whole:
            _keep_whole(udp, family)
        udp.connect(address)
        for _ in range(TRIES):
            filling = secrets.token_bytes(size - HEAD_BYTES)
            sealed = ring.seal(QUESTION + filling, secrets.token_bytes(NONCE_BYTES))
            asked_s = clock.monotonic_s()
            try:
                await loop.sock_sendall(udp, MARK + sealed)
                async with TimeLimit(ANSWER_LIMIT_S):
                    await _answer(loop, udp, ring, filling)
            except TimeoutError:
                continue
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    return None
                raise
            return clock.monotonic_s() - asked_s
    return None


async def _answer(
    loop: asyncio.AbstractEventLoop, udp: socket.socket, ring: Keyring, filling: bytes
) -> None:
    while True:
        data = await loop.sock_recv(udp, 65_536)
        with contextlib.suppress(Forged):
            if is_question(data) and ring.open(data[1:]) == ANSWER + filling:
                return


def _keep_whole(udp: socket.socket, family: int) -> None:
    if family == socket.AF_INET6:
        udp.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IP_PMTUDISC_DO)
    else:
        udp.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
