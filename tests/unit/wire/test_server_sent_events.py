"""Server-sent events, written and read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.wire.server_sent_events import (
    EVENT_MAX_BYTES,
    PING,
    BadStream,
    EventReader,
    SentEvent,
    encode,
)

lines = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), max_size=50)
names = lines.filter(bool)
events = st.lists(st.builds(SentEvent, names, lines, lines), max_size=5)


def test_an_event_is_lines_and_an_empty_one() -> None:
    assert encode(SentEvent("vm", "{}", "a-1")) == b"id: a-1\nevent: vm\ndata: {}\n\n"


@given(events, st.integers(1, 20))
def test_what_is_written_is_read_in_any_pieces(sent: list[SentEvent], size: int) -> None:
    stream = PING.join(map(encode, sent))
    reader = EventReader()
    found: list[SentEvent] = []
    for start in range(0, len(stream), size):
        found += reader.feed(stream[start : start + size])
    assert found == sent


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b"])
def test_no_part_can_add_a_line(text: str) -> None:
    for event in (SentEvent(text, ""), SentEvent("vm", text), SentEvent("vm", "", text)):
        with pytest.raises(ValueError, match="one line"):
            encode(event)


def test_other_servers_habits_are_read() -> None:
    stream = b"retry: 5\r\ndata:without blank\r\n\r\nevent: only a name\n\n:comment\ndata: 2\n\n"
    assert EventReader().feed(stream) == [
        SentEvent("message", "without blank"),
        SentEvent("message", "2"),
    ]


@pytest.mark.parametrize(
    "stream", [b"x" * (EVENT_MAX_BYTES + 1), b"data: x\n" * 10_000, b"data: \xff\n"]
)
def test_a_stream_that_no_node_sends_is_refused(stream: bytes) -> None:
    reader = EventReader()
    with pytest.raises(BadStream):
        reader.feed(stream)


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_any_bytes_are_events_or_refused(pieces: list[bytes]) -> None:
    reader = EventReader()
    try:
        for piece in pieces:
            assert all(isinstance(event, SentEvent) for event in reader.feed(piece))
    except BadStream:
        return
