import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.wire.peer_frames import (
    FRAME_MAX_BYTES,
    ID_MAX,
    Answer,
    Call,
    Cancel,
    Failure,
    Frame,
    FrameError,
    FrameReader,
    FrameTooLarge,
    Notice,
    Ping,
    Pong,
    body_bytes,
    decode,
    encode,
)

ids = st.integers(0, ID_MAX)
names = st.text(min_size=1, max_size=64)
plains = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
frames = (
    st.builds(Call, ids, names, plains)
    | st.builds(Answer, ids, plains)
    | st.builds(Failure, ids, names, st.text(), plains)
    | st.builds(Cancel, ids)
    | st.builds(Ping, ids)
    | st.builds(Pong, ids)
    | st.builds(Notice, names, plains)
)


@given(st.lists(frames, max_size=4), st.integers(1, 50))
def test_frames_arrive_as_they_were_sent_however_they_are_cut(sent: list[Frame], step: int) -> None:
    data = b"".join(map(encode, sent))
    reader, found = FrameReader(), list[Frame]()
    for at in range(0, len(data), step):
        found += reader.feed(data[at : at + step])
    assert found == sent
    assert not reader.mid_frame


@given(st.binary(max_size=64))
def test_any_bytes_are_frames_or_an_error(data: bytes) -> None:
    reader = FrameReader()
    try:
        reader.feed(data)
    except FrameError:
        return
    assert reader.mid_frame or not data


def test_a_frame_that_has_begun_is_known() -> None:
    reader = FrameReader()
    data = encode(Ping(1))
    seen = []
    for part in (b"", data[:1], data[1:5], data[5:]):
        found = reader.feed(part)
        seen.append((reader.mid_frame, found))
    assert seen == [(False, []), (True, []), (True, []), (False, [Ping(1)])]


def test_what_is_no_text_arrives_as_it_is() -> None:
    answer = Answer(1, "log \ud800 of a guest")
    assert decode(encode(answer)[4:]) == answer


def test_a_frame_that_is_too_large_is_refused_at_both_ends() -> None:
    with pytest.raises(FrameTooLarge):
        encode(Answer(1, bytes(FRAME_MAX_BYTES)))
    with pytest.raises(FrameTooLarge):
        body_bytes((FRAME_MAX_BYTES + 1).to_bytes(4))
    assert body_bytes(FRAME_MAX_BYTES.to_bytes(4)) == FRAME_MAX_BYTES


def test_kinds_and_fields_of_a_newer_program_are_skipped() -> None:
    assert decode(msgpack.packb([99, "new"])) is None
    assert decode(msgpack.packb([5, 7, "new"])) == Ping(7)
    reader = FrameReader()
    new = msgpack.packb([99])
    assert reader.feed(len(new).to_bytes(4) + new + encode(Ping(1))) == [Ping(1)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x91\x05\x00",
        msgpack.packb({}),
        msgpack.packb([]),
        msgpack.packb(["5", 1]),
        msgpack.packb([5]),
        msgpack.packb([5, -1]),
        msgpack.packb([5, 2**63]),
        msgpack.packb([5, True]),
        msgpack.packb([1, 1, "", {}]),
        msgpack.packb([1, 1, "x" * 65, {}]),
        msgpack.packb([7, b"held", {}]),
        msgpack.packb([3, 1, "code", 7, {}]),
        msgpack.packb([5, msgpack.ExtType(1, b"x")]),
        b"\x92\x02" + b"\x91" * 2000,
    ],
)
def test_what_is_no_frame_is_refused(body: bytes) -> None:
    with pytest.raises(FrameError):
        decode(body)
