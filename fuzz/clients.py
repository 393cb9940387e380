"""What QVD clients send to a node."""

import contextlib
from typing import Final

from fuzz.target import Target, pieces
from qvdnode.auth.login_name import parse_login
from qvdnode.model.errors import Forbidden, Invalid, NotFound, Unauthenticated
from qvdnode.model.source_network import UNKNOWN, source_networks
from qvdnode.wire.nx_greeting import BadGreeting, greeting_length
from qvdnode.wire.proxy_protocol import BadProxyHead, parse_proxy_head
from qvdnode.wire.qvd1 import (
    HEAD_BYTES_MAX,
    PIPELINED_BYTES_MAX,
    BadHead,
    HeadParser,
    RequestHead,
)
from qvdnode.wire.qvd_answers import progress_head, sentence
from qvdnode.wire.qvd_conversation import Conversation, State
from qvdnode.wire.qvd_credentials import parse_authorization
from qvdnode.wire.qvd_params import parse_display, parse_id


def heads(data: bytes) -> None:
    """A stream of heads parses to the same, whole and byte by byte."""
    whole = _parse([data])
    single = _parse(pieces(data))
    if whole != single:
        raise AssertionError(f"{whole} is not {single}")


def _parse(arriving: list[bytes]) -> tuple[list[RequestHead], int]:
    parser = HeadParser()
    found: list[RequestHead] = []
    try:
        for piece in arriving:
            parser.feed(piece)
            while (head := parser.next_head()) is not None:
                found.append(head)
    except BadHead as error:
        return found, error.status
    return found, 0


def conversation(data: bytes) -> None:
    """Whatever a client sends, it gets answers in order, and a refusal is the last answer."""
    talk = Conversation()
    try:
        request = talk.receive(data)
        while request is not None:
            talk.progress(request.path)
            talk.answer(sentence(404, request.path))
            request = talk.next_request()
    except BadHead as error:
        talk.refuse(error)
        if talk.state is not State.CLOSING or talk.receive(data) is not None:
            raise AssertionError("a refused connection goes on") from error


def parameters(data: bytes) -> None:
    """Any query is understood or refused, and only plain values become options."""
    text = data.decode("utf-8", "replace")
    pairs = [pair.partition("=")[::2] for pair in text.split("&")]
    with contextlib.suppress(Invalid, Forbidden, NotFound):
        parse_id(pairs)
    with contextlib.suppress(Invalid, Forbidden, NotFound):
        params = parse_display(pairs).params
        for value in (params.os, params.link, params.keyboard, params.geometry, params.timezone):
            if value is not None and set(value) & set(",=: \t\r\n\0'\"$`\\"):
                raise AssertionError(f"{value!r} came through")


def credentials(data: bytes) -> None:
    """Any Authorization header is understood or refused."""
    with contextlib.suppress(Unauthenticated):
        parse_authorization(data.decode("latin-1"))


def logins(data: bytes) -> None:
    """Any text is a login of one tenant."""
    name = parse_login(data.decode("utf-8", "replace"), "default")
    if "@" in name.tenant or "#" in name.tenant:
        raise AssertionError(name)


def sources(data: bytes) -> None:
    """Any text is counted in networks with short names, the narrowest first."""
    networks = source_networks(data.decode("utf-8", "replace"))
    if networks[0].multiplier != 1 or any(len(network.name) > 43 for network in networks):
        raise AssertionError(networks)


def proxy_heads(data: bytes) -> None:
    """A PROXY head does not change with what follows, and names an address or nobody."""
    try:
        head = parse_proxy_head(data)
    except BadProxyHead:
        return
    if head is None:
        return
    if parse_proxy_head(data[: head.length]) != head:
        raise AssertionError("the head depends on what follows")
    if head.source and source_networks(head.source)[0].name == UNKNOWN:
        raise AssertionError(head)


def greeting(data: bytes) -> None:
    """A greeting's length does not change with what follows it."""
    try:
        length = greeting_length(data)
    except BadGreeting:
        return
    if length is not None and greeting_length(data[:length]) != length:
        raise AssertionError("the greeting depends on what follows")


def progress(data: bytes) -> None:
    """No sentence breaks out of its header line."""
    head = progress_head(data.decode("utf-8", "replace"))
    if head.count(b"\r\n") != 3 or head.count(b"\n") != 3:
        raise AssertionError(head)


PING: Final = b"GET /qvd/ping HTTP/1.1\r\n\r\n"
LONGEST: Final = PING.replace(b"ping", b"p" * (HEAD_BYTES_MAX - len(PING) + 4))
"""The longest head that is taken."""

TARGETS: Final[dict[str, Target]] = {
    "heads": Target(
        heads,
        (
            b"GET /qvd/list_of_vm? HTTP/1.1\r\nAuthorization: Basic YQ==\r\n\r\n",
            b"GET /qvd/stop_vm?id=7&a=%41 HTTP/1.1\nConnection: close\n\nGET / HTTP/1.1\n\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            LONGEST + PING,
            b"GET /?" + b"a" * HEAD_BYTES_MAX,
        ),
        size_max=HEAD_BYTES_MAX + PIPELINED_BYTES_MAX,
        weight=4,
    ),
    "conversation": Target(
        conversation,
        (PING + b"GET /qvd/ping HTTP/1.1\n\n", PING + LONGEST * 3),
        size_max=HEAD_BYTES_MAX + PIPELINED_BYTES_MAX + 4096,
        weight=4,
    ),
    "parameters": Target(
        parameters,
        (
            b"id=7&qvd.client.keyboard=pc105/es&qvd.client.link=lan&qvd.client.geometry=1x1&custom.a=b",
        ),
    ),
    "credentials": Target(credentials, (b"Basic YTpi", b"Bearer dG9r")),
    "logins": Target(logins, (b"alice@acme", b"bob#corp")),
    "sources": Target(sources, (b"192.0.2.1", b"::ffff:192.0.2.1", b"fe80::1%eth0")),
    "proxy_heads": Target(
        proxy_heads,
        (
            b"PROXY TCP4 203.0.113.7 10.0.0.1 56324 8443\r\n\x16",
            b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n",
            b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12),
            b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00",
        ),
    ),
    "greeting": Target(greeting, (b"NXPROXY-3.5.0-3.5.99 stream=default,data=default ",)),
    "progress": Target(progress, (b"Starting virtual machine",)),
}
