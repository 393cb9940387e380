"""The hello of two nodes: what is read is what was written, and nothing else is taken."""

from dataclasses import replace

import msgpack
import pytest

from qvdnode.wire import peer_hello
from qvdnode.wire.peer_hello import (
    FRAME_MAX_BYTES,
    HEADER_BYTES,
    Hello,
    HelloAnswer,
    HelloError,
    JoinAnswer,
    JoinRequest,
    Message,
    agreed_version,
    body_bytes,
    frame,
    parse,
    version_refusal,
)

HELLO = Hello(1, 1, "farm", "calls", "1.0", 1_700_000_000_000)
ANSWER = HelloAnswer(1, "", "1.0", 1_700_000_000_000)
MESSAGES = (
    HELLO,
    ANSWER,
    replace(ANSWER, version=0, refusal="no"),
    JoinRequest("token", "desk2", "192.0.2.2", 8445, b"key", 8),
    JoinAnswer("no"),
    JoinAnswer("", farm="farm", node=2, farm_key=b"k" * 32, dsn="postgresql://db/farm"),
)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_is_written_is_read(message: Message) -> None:
    framed = frame(message)
    assert body_bytes(framed[:HEADER_BYTES]) == len(framed) - HEADER_BYTES
    assert parse(type(message), framed[HEADER_BYTES:]) == message


def test_fields_of_a_newer_program_are_ignored() -> None:
    values = {**msgpack.unpackb(frame(HELLO)[HEADER_BYTES:]), "colour": "blue"}
    assert parse(Hello, msgpack.packb(values)) == HELLO


def test_a_field_with_a_default_may_be_missing() -> None:
    values = msgpack.unpackb(frame(ANSWER)[HEADER_BYTES:])
    del values["authority"]
    assert parse(HelloAnswer, msgpack.packb(values)) == ANSWER


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"oldest": "1"},
        {"oldest": True},
        {"oldest": -1},
        {"oldest": 2**60},
        {"time_ms": None},
        {"farm": b"farm"},
        {"purpose": 1.5},
    ],
    ids=str,
)
def test_a_field_that_is_missing_or_odd_is_refused(values: dict[str, object]) -> None:
    whole = msgpack.unpackb(frame(HELLO)[HEADER_BYTES:])
    body = msgpack.packb({**whole, **values} if values else {})
    with pytest.raises(HelloError):
        parse(Hello, body)


@pytest.mark.parametrize(
    "body",
    [b"", b"\xc1", msgpack.packb(7), msgpack.packb([1]), msgpack.packb({"a": "x" * 9_000}),
     b"\x81\x80\x01", frame(HELLO)[HEADER_BYTES:] + b"\x00"],
)  # fmt: skip
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(HelloError):
        parse(Hello, body)


@pytest.mark.parametrize("length", [0, FRAME_MAX_BYTES + 1, 2**32 - 1])
def test_a_length_that_no_message_has_is_refused(length: int) -> None:
    with pytest.raises(HelloError):
        body_bytes(length.to_bytes(HEADER_BYTES, "big"))


def test_a_message_that_nobody_would_read_is_not_written() -> None:
    with pytest.raises(ValueError, match="too large"):
        frame(replace(HELLO, farm="x" * FRAME_MAX_BYTES))


def test_versions_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """N and N+1 speak the older one's version; N+2 asks for an upgrade, and says of which."""
    monkeypatch.setattr(peer_hello, "VERSION", 5)
    monkeypatch.setattr(peer_hello, "OLDEST", 4)
    assert agreed_version(4, 5) == 5
    assert agreed_version(3, 4) == 4
    assert agreed_version(5, 6) == 5
    assert agreed_version(2, 3) is None
    assert agreed_version(6, 7) is None
    assert "program 0.9 speaks the peer protocol up to version 3" in version_refusal(2, 3, "0.9")
    assert "upgrade the older one" in version_refusal(2, 3, "0.9")
    assert "upgrade this node" in version_refusal(6, 7, "2.0")
