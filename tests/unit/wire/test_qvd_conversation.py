"""Conversations with the clients in the field, played whole and split at every byte boundary."""

from collections.abc import Iterator

import pytest

from qvdnode.model.desktop import DesktopEntry
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import WireState
from qvdnode.wire.nx_greeting import greeting_length
from qvdnode.wire.qvd1 import PIPELINED_BYTES_MAX, BadHead, RequestHead
from qvdnode.wire.qvd_answers import CHALLENGE, desktop_list, sentence
from qvdnode.wire.qvd_conversation import TRANSITIONS, Conversation, Event, State
from qvdnode.wire.qvd_params import parse_display, parse_id
from tests.unit.wire import transcripts

DESK = DesktopEntry(VmId(7), "desk", WireState.STOPPED, blocked=False, is_application=False)
GET = b"GET /qvd/ping HTTP/1.1\r\n\r\n"
KEY = "k" * 64


def act(conversation: Conversation, deed: str) -> bytes:
    verb, _, rest = deed.partition(" ")
    match verb:
        case "list":
            return conversation.answer(desktop_list([DESK]))
        case "text":
            status, _, text = rest.partition(" ")
            extra = [CHALLENGE] if status == "401" else []
            return conversation.answer(sentence(int(status), text, *extra))
        case "progress":
            return conversation.progress(rest)
        case "upgrade":
            return conversation.upgrade(rest)
        case _:
            raise AssertionError(deed)


def play(name: str, cut: int | None, *, bytewise: bool = False) -> None:
    """Play a transcript with the client's messages cut at `cut` (of each message), or bytewise."""
    conversation = Conversation()
    request: RequestHead | None = None
    written = b""
    for step in transcripts.read(name):
        match step.kind:
            case "C>":
                assert not written, "the node wrote what is not in the transcript"
                request = None
                pieces = list(cut_up(step.data, cut, bytewise=bytewise))
                for piece in pieces:
                    assert request is None, "a request was seen before it was whole"
                    request = conversation.receive(piece)
            case "??":
                assert request is not None
                assert request.path == step.text
            case "##":
                assert request is not None
                assert meaning(request) == step.text
            case "!!":
                written = act(conversation, step.text)
            case "S>":
                assert written == step.data
                written = b""
            case "N>":
                stream = conversation.take_stream()
                assert stream == b"", "nothing was sent before the 101"
                assert conversation.state is State.UPGRADED
                assert greeting_length(step.data) == len(step.data)
            case _:
                raise AssertionError(step)


def cut_up(data: bytes, cut: int | None, *, bytewise: bool) -> Iterator[bytes]:
    if bytewise:
        yield from (data[at : at + 1] for at in range(len(data)))
    elif cut is None or cut >= len(data):
        yield data
    else:
        yield from (data[:cut], data[cut:])


def meaning(request: RequestHead) -> str:
    vm_id, params = parse_id(request.query), parse_display(request.query).params
    return (
        f"{vm_id} {params.os} {params.link} {params.keyboard} {params.geometry} {params.fullscreen}"
    )


def test_all_three_families_are_there() -> None:
    assert transcripts.NAMES == ["c_library", "perl", "qt"]


@pytest.mark.parametrize("name", transcripts.NAMES)
def test_a_dialogue_goes_as_recorded(name: str) -> None:
    play(name, None)


@pytest.mark.parametrize("name", transcripts.NAMES)
def test_it_goes_the_same_split_at_every_byte_boundary(name: str) -> None:
    longest = max(len(step.data) for step in transcripts.read(name) if step.kind == "C>")
    for cut in range(1, longest):
        play(name, cut)


@pytest.mark.parametrize("name", transcripts.NAMES)
def test_it_goes_the_same_byte_by_byte(name: str) -> None:
    play(name, None, bytewise=True)


@pytest.mark.parametrize("name", transcripts.NAMES)
def test_it_goes_the_same_when_the_stream_comes_with_the_request(name: str) -> None:
    conversation = Conversation()
    steps = transcripts.read(name)
    connect = [step.data for step in steps if step.kind == "C>"][-1]
    greeting = steps[-1].data
    for cut in range(len(connect), len(connect + greeting)):
        conversation = Conversation()
        whole = connect + greeting
        assert conversation.receive(whole[:cut]) is not None
        assert conversation.receive(whole[cut:]) is None
        assert conversation.upgrade(KEY).startswith(b"HTTP/1.1 101 ")
        assert conversation.take_stream() == greeting


def test_pipelined_requests_are_answered_one_after_another() -> None:
    conversation = Conversation()
    assert conversation.receive(GET + GET + GET[:5]) is not None
    assert conversation.next_request() is None, "the first is not answered yet"
    conversation.answer(sentence(200, "one"))
    assert conversation.next_request() is not None
    conversation.answer(sentence(200, "two"))
    assert conversation.next_request() is None
    assert conversation.mid_head
    assert conversation.receive(GET[5:]) is not None


def test_what_is_pipelined_is_bounded() -> None:
    conversation = Conversation()
    conversation.receive(GET)
    with pytest.raises(BadHead) as refused:
        conversation.receive(b"x" * (PIPELINED_BYTES_MAX + 1))
    assert conversation.refuse(refused.value).startswith(b"HTTP/1.1 400 ")
    assert conversation.receive(GET) is None


def test_connection_close_is_honoured() -> None:
    conversation = Conversation()
    conversation.receive(b"GET / HTTP/1.1\nConnection: close\n\n" + GET)
    assert b"\r\nConnection: close\r\n" in conversation.answer(sentence(404, "no"))
    assert conversation.state is State.CLOSING
    assert conversation.next_request() is None


def test_a_bad_head_ends_the_connection_with_its_status() -> None:
    conversation = Conversation()
    with pytest.raises(BadHead) as refused:
        conversation.receive(b"GET / HTTP/1.0\r\n\r\n")
    answer = conversation.refuse(refused.value)
    assert answer.startswith(b"HTTP/1.1 505 ")
    assert b"Connection: close" in answer
    assert conversation.state is State.CLOSING


def test_nothing_is_answered_twice() -> None:
    conversation = Conversation()
    conversation.receive(GET)
    conversation.answer(sentence(200, "one"))
    with pytest.raises(KeyError):
        conversation.answer(sentence(200, "again"))


def test_a_client_may_leave_at_any_time() -> None:
    for state in State:
        assert TRANSITIONS[state][Event.CLIENT_LEFT] is State.CLOSING
    conversation = Conversation()
    conversation.receive(GET)
    conversation.client_left()
    assert conversation.receive(GET) is None


def test_nothing_leads_out_of_closing_or_back_from_the_stream() -> None:
    assert set(TRANSITIONS[State.CLOSING].values()) == {State.CLOSING}
    assert set(TRANSITIONS[State.UPGRADED].values()) == {State.CLOSING}
