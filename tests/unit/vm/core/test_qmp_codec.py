import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.vm.core.qmp_codec import (
    DEPTH_MAX,
    MESSAGE_MAX,
    BadMessage,
    Done,
    Event,
    Greeting,
    MessageReader,
    Refused,
    command,
)

# As QEMU 7.2 writes them.
GREETING = (
    b'{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}, '
    b'"capabilities": ["oob"]}}\r\n'
)
STATUS = b'{"return": {"status": "prelaunch", "singlestep": false, "running": false}, "id": 1}\r\n'
ERROR = (
    b'{"id": 2, "error": {"class": "CommandNotFound", '
    b'"desc": "The command x has not been found"}}\r\n'
)
RESUMED = b'{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESUME"}\r\n'
PANIC = (
    b'{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "GUEST_PANICKED", '
    b'"data": {"action": "pause"}}\r\n'
)


def test_a_command_is_one_line_of_json() -> None:
    line = command(3, "query-status")
    assert line.endswith(b"\n")
    assert json.loads(line) == {"execute": "query-status", "id": 3}


def test_what_qemu_says_is_understood() -> None:
    assert MessageReader().feed(GREETING + STATUS + ERROR + RESUMED + PANIC) == [
        Greeting((7, 2, 22)),
        Done(1, {"status": "prelaunch", "singlestep": False, "running": False}),
        Refused(2, "CommandNotFound", "The command x has not been found"),
        Event("RESUME", {}),
        Event("GUEST_PANICKED", {"action": "pause"}),
    ]


def test_a_command_may_take_arguments() -> None:
    line = command(4, ("balloon", {"value": 7}))
    assert json.loads(line) == {"execute": "balloon", "id": 4, "arguments": {"value": 7}}


def test_an_error_may_name_no_command() -> None:
    line = b'{"error": {"class": "GenericError", "desc": "JSON parse error"}}\n'
    assert MessageReader().feed(line) == [Refused(None, "GenericError", "JSON parse error")]


@pytest.mark.parametrize(
    "line",
    [
        b"hello\n",
        b"[]\n",
        b"{}\n",
        b'{"return": {}}\n',
        b'{"QMP": {}}\n',
        b'{"event": 5}\n',
        b"\xff\n",
        b"[" * (DEPTH_MAX + 1) + b"\n",
        b'{"a":' * 100_000 + b"\n",
    ],
)
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(BadMessage):
        MessageReader().feed(line)


def test_a_message_without_end_is_refused() -> None:
    reader = MessageReader()
    for _ in range(MESSAGE_MAX // 1000):
        reader.feed(b" " * 1000)
    with pytest.raises(BadMessage, match="no end"):
        reader.feed(b" " * 1000)


@given(st.integers(1, 50))
def test_messages_survive_any_cutting(step: int) -> None:
    written = GREETING + STATUS + RESUMED
    reader = MessageReader()
    read = [
        one for at in range(0, len(written), step) for one in reader.feed(written[at : at + step])
    ]
    assert read == MessageReader().feed(written)


@given(st.binary(max_size=400))
def test_any_bytes_are_messages_or_refused(data: bytes) -> None:
    try:
        MessageReader().feed(data)
    except BadMessage:
        return
