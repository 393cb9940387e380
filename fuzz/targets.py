"""What is fuzzed: each target takes any bytes, and raises only when a promise is broken."""

import contextlib
from collections.abc import Callable
from typing import Final

from qvdnode.auth.login_name import parse_login
from qvdnode.image.core.entry import clean_path
from qvdnode.model.errors import BadImage, Forbidden, Invalid, NotFound, Unauthenticated
from qvdnode.vm.core.nxagent_log import LogParser
from qvdnode.wire import session_params
from qvdnode.wire.nx_greeting import BadGreeting, greeting_length
from qvdnode.wire.qvd1 import BadHead, HeadParser, RequestHead
from qvdnode.wire.qvd_answers import progress_head, sentence
from qvdnode.wire.qvd_client import AnswerReader, BadAnswer, Switched, parse_desktops
from qvdnode.wire.qvd_conversation import Conversation, State
from qvdnode.wire.qvd_credentials import parse_authorization
from qvdnode.wire.qvd_params import parse_connect


def heads(data: bytes) -> None:
    """A stream of heads parses to the same, whole and byte by byte."""
    whole = _parse([data])
    single = _parse([data[at : at + 1] for at in range(len(data))])
    if whole != single:
        raise AssertionError(f"{whole} is not {single}")


def _parse(pieces: list[bytes]) -> tuple[list[RequestHead], int]:
    parser = HeadParser()
    found: list[RequestHead] = []
    try:
        for piece in pieces:
            parser.feed(piece)
            while (head := parser.next_head()) is not None:
                found.append(head)
    except BadHead as error:
        return found, error.status
    return found, 0


def conversation(data: bytes) -> None:
    """Whatever a client sends, it is answered in turn, and a refusal is the last thing it hears."""
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
        _, params, _ = parse_connect([("id", "1"), *pairs])
        for value in (params.os, params.link, params.keyboard, params.geometry, params.timezone):
            if value is not None and set(value) & set(",=: \t\r\n\0'\"$`\\"):
                raise AssertionError(f"{value!r} came through")


def credentials(data: bytes) -> None:
    """Any Authorization header is understood or refused."""
    with contextlib.suppress(Unauthenticated):
        parse_authorization(data.decode("latin-1"))


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


def server_answers(data: bytes) -> None:
    """Our client survives any server, and sees the same however its bytes arrive."""
    whole = _heard([data])
    single = _heard([data[at : at + 1] for at in range(len(data))])
    if whole != single:
        raise AssertionError(f"{whole} is not {single}")


def _heard(pieces: list[bytes]) -> list[object]:
    reader = AnswerReader()
    events: list[object] = []
    with contextlib.suppress(BadAnswer):
        for piece in pieces:
            if events and isinstance(events[-1], Switched):
                events[-1] = Switched(events[-1].headers, events[-1].rest + piece)
                continue
            events.extend(reader.receive(piece))
    return events


def desktop_lists(data: bytes) -> None:
    """Any list of desktops is understood or refused."""
    with contextlib.suppress(BadAnswer):
        parse_desktops(data)


def session_parameters(data: bytes) -> None:
    """What can be read of a parameters file is what would be written."""
    with contextlib.suppress(Invalid):
        params = session_params.decode(data)
        if session_params.decode(session_params.encode(params)) != params:
            raise AssertionError(params)


def display_log(data: bytes) -> None:
    """A guest may write anything into its log."""
    parser = LogParser()
    for at in range(0, len(data), 7):
        parser.feed(data[at : at + 7])


def logins(data: bytes) -> None:
    """Any text is a login of one tenant."""
    name = parse_login(data.decode("utf-8", "replace"), "default")
    if "@" in name.tenant or "#" in name.tenant:
        raise AssertionError(name)


def archive_names(data: bytes) -> None:
    """No name in an archive leads out of the image."""
    with contextlib.suppress(BadImage):
        parts = clean_path(data.decode("utf-8", "surrogateescape"))
        if {"", ".", ".."} & set(parts) or any("/" in part for part in parts):
            raise AssertionError(parts)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "heads": heads,
    "conversation": conversation,
    "parameters": parameters,
    "credentials": credentials,
    "greeting": greeting,
    "progress": progress,
    "server_answers": server_answers,
    "desktop_lists": desktop_lists,
    "session_parameters": session_parameters,
    "display_log": display_log,
    "logins": logins,
    "archive_names": archive_names,
}

SEEDS: Final[dict[str, tuple[bytes, ...]]] = {
    "heads": (
        b"GET /qvd/list_of_vm? HTTP/1.1\r\nAuthorization: Basic YQ==\r\n\r\n",
        b"GET /qvd/stop_vm?id=7&a=%41 HTTP/1.1\nConnection: close\n\nGET / HTTP/1.1\n\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ),
    "conversation": (b"GET /qvd/ping HTTP/1.1\n\nGET /qvd/ping HTTP/1.1\r\n\r\n",),
    "parameters": (
        b"qvd.client.keyboard=pc105/es&qvd.client.link=lan&qvd.client.geometry=1x1&custom.a=b",
    ),
    "credentials": (b"Basic YTpi", b"Bearer dG9r"),
    "greeting": (b"NXPROXY-3.5.0-3.5.99 stream=default,data=default ",),
    "progress": (b"Starting virtual machine",),
    "server_answers": (
        (
            b"HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: Starting\r\n\r\n"
            b"HTTP/1.1 101 Switching Protocols\r\nX-QVD-Slave-Key: k\r\n\r\nNXPROXY-"
        ),
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    ),
    "desktop_lists": (
        b'[{"id": 7, "name": "desk", "state": "stopped", "blocked": 0, "is_application": 0}]',
    ),
    "session_parameters": (b"LINK=6c616e\nLOGIN=616c696365\n",),
    "display_log": (b"Session: Session started at 'x'\nSession: Session suspended at\n",),
    "logins": (b"alice@acme", b"bob#corp"),
    "archive_names": (b"./usr/lib/qvd/session", b"../etc/passwd", b"Windows/System32"),
}
