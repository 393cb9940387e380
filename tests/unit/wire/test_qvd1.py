"""The head parser: what clients send is understood, however it arrives; the rest is refused."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.wire.qvd1 import (
    HEAD_BYTES_MAX,
    HEADER_LINES_MAX,
    PIPELINED_BYTES_MAX,
    BadHead,
    HeadParser,
    RequestHead,
    parse_head,
)

Outcome = list[RequestHead] | tuple[int, str]

LIST = b"GET /qvd/list_of_vm? HTTP/1.1\r\nAuthorization: Basic YQ==\r\n\r\n"
SAMPLES = [
    LIST,
    LIST.replace(b"\r\n", b"\n"),
    b"\r\n\n\r\n" + LIST + b"\n" + LIST,
    b"GET /a%20b?x=%41&y=&z HTTP/1.1\nA: b\r\n\nGET / HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET  / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
    b"\x16\x03\x01\x00\xf4\n\n",
    LIST + b"NXPROXY-3.5.0-3.5.99 a=b ",
]


def play(pieces: list[bytes]) -> tuple[Outcome, bytes]:
    """All heads and the rest, or what was refused."""
    parser = HeadParser()
    heads = []
    try:
        for piece in pieces:
            parser.feed(piece)
            while (head := parser.next_head()) is not None:
                heads.append(head)
    except BadHead as error:
        return (error.status, str(error)), b""
    return heads, parser.take_rest()


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_split_gives_the_same(sample: bytes) -> None:
    whole = play([sample])
    assert play([sample[at : at + 1] for at in range(len(sample))]) == whole
    for at in range(1, len(sample)):
        assert play([sample[:at], sample[at:]]) == whole


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=6))
def test_any_bytes_split_anywhere_give_the_same(data: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    assert play(pieces) == play([data])


@given(
    st.lists(
        st.sampled_from(
            [b"GET ", b"/", b"?", b"%4", b"1", b" HTTP/1.1", b"\r\n", b"\n", b"A", b":"]
        )
    )
)
def test_near_requests_split_anywhere_give_the_same(words: list[bytes]) -> None:
    assert play(words) == play([b"".join(words)])


def test_a_head_is_parsed() -> None:
    head = parse_head(b"GET /qvd/x%2Fy?id=7&qvd.client.keyboard=pc105%2Fes&e= HTTP/1.1\nHoSt:  a \n"
                      b"X: \xe9")  # fmt: skip
    assert head.path == "/qvd/x/y"
    assert head.query == (("id", "7"), ("qvd.client.keyboard", "pc105/es"), ("e", ""))
    assert head.headers == {"host": "a", "x": "é"}


def test_a_plus_in_the_query_stays_a_plus() -> None:
    assert parse_head(b"GET /?tz=Etc/GMT+5 HTTP/1.1").query == (("tz", "Etc/GMT+5"),)


def test_an_empty_query_is_no_parameter() -> None:
    assert parse_head(b"GET /qvd/list_of_vm? HTTP/1.1").query == ()


def test_bytes_behind_the_head_are_kept() -> None:
    heads, rest = play([LIST + b"NXPROXY-"])
    assert isinstance(heads, list)
    assert len(heads) == 1
    assert rest == b"NXPROXY-"


@pytest.mark.parametrize(("value", "wanted"), [(b"close", True), (b"Upgrade", False)])
def test_connection_close_is_seen(value: bytes, wanted: bool) -> None:
    assert parse_head(b"GET / HTTP/1.1\r\nConnection: " + value).wants_close is wanted


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.0", 505),
        (b"GET / HTTP/2", 505),
        (b"PRI * HTTP/2.0", 505),
        (b"GET / HTTP/1.12", 505),
        (b"GET / http/1.1", 400),
        (b"GET /", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"POST / HTTP/1.1", 400),
        (b"GET http://x/ HTTP/1.1", 400),
        (b"GET /\xff HTTP/1.1", 400),
        (b"GET /%zz HTTP/1.1", 400),
        (b"GET /?a=%f HTTP/1.1", 400),
        (b"GET /?a=%ff HTTP/1.1", 400),
        (b"GET / HTTP/1.1\r\n folded: x", 400),
        (b"GET / HTTP/1.1\r\nname : x", 400),
        (b"GET / HTTP/1.1\r\nname: \x00", 400),
        (b"GET / HTTP/1.1\r\nname: a\rb", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 5", 400),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked", 400),
        (b"GET / HTTP/1.1" + b"\r\na: b" * (HEADER_LINES_MAX + 1), 400),
    ],
)
def test_what_is_no_request_is_refused(head: bytes, status: int) -> None:
    with pytest.raises(BadHead) as refused:
        parse_head(head)
    assert refused.value.status == status


def test_a_head_may_not_grow_for_ever() -> None:
    parser = HeadParser()
    parser.feed(b"GET / HTTP/1.1\r\nA: " + b"x" * (HEAD_BYTES_MAX - 19))
    assert parser.next_head() is None
    parser.feed(b"xx")
    with pytest.raises(BadHead) as refused:
        parser.next_head()
    assert refused.value.status == 400


def test_a_whole_head_that_is_too_long_is_refused_too() -> None:
    parser = HeadParser()
    parser.feed(b"GET / HTTP/1.1\r\nA: " + b"x" * HEAD_BYTES_MAX + b"\r\n\r\n")
    with pytest.raises(BadHead):
        parser.next_head()


def test_no_more_is_buffered_than_a_head_and_what_may_follow() -> None:
    parser = HeadParser()
    with pytest.raises(BadHead):
        parser.feed(b"x" * (HEAD_BYTES_MAX + PIPELINED_BYTES_MAX + 1))


def test_many_blank_lines_are_skipped_without_harm() -> None:
    parser = HeadParser()
    parser.feed(b"\n\r\n" * 5_000)
    assert parser.next_head() is None
    assert parser.waiting_bytes == 0
