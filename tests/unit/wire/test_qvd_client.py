"""Answers split anywhere give the same events; anything else is refused, never misread."""

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.errors import Invalid
from qvdnode.model.vm_state import DisplayState, WireState
from qvdnode.wire.qvd_client import (
    PROGRESS_MAX,
    Answered,
    AnswerReader,
    BadAnswer,
    Event,
    Progressed,
    Switched,
    basic_authorization,
    parse_desktops,
    parse_session_end,
    request_head,
)

DIALOGUE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    b"HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: Starting virtual machine\r\n\r\n"
    b"HTTP/1.1 102\r\n\r\n"
    b"HTTP/1.1 101 Switching Protocols\r\nX-QVD-Slave-Key: k\r\n\r\nNX\r\n\r\n"
)


def read(pieces: list[bytes]) -> tuple[list[Event], bytes]:
    """Events of a reader until it switches, and all bytes behind the switch."""
    reader, events, rest = AnswerReader(), list[Event](), b""
    switched = False
    for piece in pieces:
        if switched:
            rest += piece
            continue
        for event in reader.receive(piece):
            if isinstance(event, Switched):
                switched, rest = True, event.rest
                events.append(Switched(event.headers, b""))
            else:
                events.append(event)
    return events, rest


@pytest.mark.parametrize("cut", range(1, len(DIALOGUE)))
def test_a_dialogue_may_be_split_at_any_byte(cut: int) -> None:
    events, rest = read([DIALOGUE[:cut], DIALOGUE[cut:]])
    assert rest == b"NX\r\n\r\n"
    assert events == [
        Answered(200, {"content-type": "application/json", "content-length": "2"}, b"[]"),
        Answered(404, {"content-length": "0"}, b""),
        Progressed("Starting virtual machine"),
        Progressed(""),
        Switched({"x-qvd-slave-key": "k"}, b""),
    ]


def test_byte_by_byte_is_the_same() -> None:
    assert read([bytes([byte]) for byte in DIALOGUE]) == read([DIALOGUE])


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH",
        b"<html>",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 099 Low\r\n\r\n",
        b"HTTP/1.1 2000 Long\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000,
    ],
)
def test_what_is_not_qvd_is_refused(answer: bytes) -> None:
    with pytest.raises(BadAnswer):
        list(AnswerReader().receive(answer))


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda tail: b"HTTP/1.1 200" + tail))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    with contextlib.suppress(BadAnswer):
        for event in AnswerReader().receive(data):
            assert isinstance(event, Answered | Progressed | Switched)


def test_nothing_is_read_behind_a_switch() -> None:
    reader = AnswerReader()
    list(reader.receive(b"HTTP/1.1 101 S\r\n\r\n"))
    with pytest.raises(AssertionError):
        list(reader.receive(b"x"))


def test_a_connect_head_is_what_servers_expect() -> None:
    head = request_head(
        "/qvd/connect_to_vm",
        {"id": "7", "qvd.client.keyboard": "pc105/es", "custom.x": "a b&c"},
        "Basic eDp5",
        upgrade=True,
    )
    assert head == (
        b"GET /qvd/connect_to_vm?id=7&qvd.client.keyboard=pc105/es&custom.x=a%20b%26c HTTP/1.1\r\n"
        b"Authorization: Basic eDp5\r\n"
        b"Accept: application/json\r\n"
        b"User-Agent: qvdnode (linux)\r\n"
        b"Connection: Upgrade\r\n"
        b"Upgrade: QVD/1.0\r\n\r\n"
    )
    assert request_head("/qvd/list_of_vm", {}, "Basic eDp5").startswith(
        b"GET /qvd/list_of_vm HTTP/1.1\r\n"
    )


@given(st.text(max_size=20).filter(lambda t: ":" not in t), st.text(max_size=20))
def test_logins_survive_the_header(login: str, password: str) -> None:
    word = basic_authorization(login, password).removeprefix("Basic ")
    assert base64.b64decode(word).decode() == f"{login}:{password}"


def test_a_colon_in_a_login_is_refused() -> None:
    with pytest.raises(Invalid):
        basic_authorization("a:b", "c")


def test_a_listing_is_read() -> None:
    row = {"id": 7, "name": "desk", "state": "stopped", "blocked": 1, "is_application": 0}
    (entry,) = parse_desktops(json.dumps([row]).encode())
    assert (entry.id, entry.name, entry.state, entry.blocked) == (
        7,
        "desk",
        WireState.STOPPED,
        True,
    )
    (entry,) = parse_desktops(json.dumps([{"id": "8", "name": "d", "state": "running"}]).encode())
    assert entry.id == 8


@pytest.mark.parametrize(
    "body",
    [b"", b"{}x", b"[1]", b'[{"id": 0, "name": "x", "state": "running"}]', b'[{"id": 1}]',
     b'[{"id": 1, "name": 2, "state": "running"}]', b'[{"id": [], "name": "", "state": "x"}]',
     b"7", b'[{"id": 99999999999, "name": "x", "state": "running"}]'],
)  # fmt: skip
def test_a_broken_listing_is_refused(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        parse_desktops(body)


END = {"state": "running", "display": "stopping", "viewer": 0, "because": "It died.", "failed": 1}


def test_the_end_of_a_session_is_read() -> None:
    end = parse_session_end(json.dumps(END).encode())
    assert (end.state, end.display) == (WireState.RUNNING, DisplayState.STOPPING)
    assert (end.viewer, end.because, end.failed) == (False, "It died.", True)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"7", b"{}", json.dumps({**END, "state": "odd"}).encode(), b"[" * 100_000]
)
def test_a_broken_word_on_the_end_is_refused(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        parse_session_end(body)


@given(st.binary(max_size=200))
def test_no_listing_breaks_the_parser(body: bytes) -> None:
    with contextlib.suppress(BadAnswer):
        parse_desktops(body)


def test_progress_without_end_is_refused_and_the_next_request_counts_anew() -> None:
    progress = b"HTTP/1.1 102 P\r\nX-QVD-VM-Info: on\r\n\r\n" * PROGRESS_MAX
    reader = AnswerReader()
    for _ in range(2):
        assert len(list(reader.receive(progress))) == PROGRESS_MAX
        assert len(list(reader.receive(b"HTTP/1.1 200 OK\r\n\r\n"))) == 1
    with pytest.raises(BadAnswer, match="without end"):
        list(reader.receive(progress + b"HTTP/1.1 102 P\r\n\r\n"))
