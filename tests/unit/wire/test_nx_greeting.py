"""The NX greeting is recognised when it is whole, and refused as soon as it cannot become one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.wire.nx_greeting import GREETING_BYTES_MAX, BadGreeting, greeting_length

GREETINGS = [
    b"NXPROXY-3.5.0-3.5.99 stream=default,data=default ",
    b"NXPROXY-1.2.2-3.4.0 cookie=0123,link=adsl ",
    b"NXPROXY-3.5.0 link=lan ",
]


@pytest.mark.parametrize("greeting", GREETINGS)
def test_a_greeting_is_whole_at_its_second_space_and_not_before(greeting: bytes) -> None:
    for length in range(len(greeting)):
        assert greeting_length(greeting[:length]) is None
    assert greeting_length(greeting) == len(greeting)
    assert greeting_length(greeting + b"\x00\x00\x01 more ") == len(greeting)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"NXPROXX",
        b"NXPROXY-a.b.c x ",
        b"NXPROXY- x ",
        b"NXPROXY-3.5.0-3.5.99  ",
        b"NXPROXY-3.5.0-3.5.99 a\nb",
        b"NXPROXY-3.5.0-3.5.99 " + b"a" * GREETING_BYTES_MAX,
        b"NXPROXY-" + b"3" * GREETING_BYTES_MAX,
    ],
)
def test_anything_else_is_refused(sent: bytes) -> None:
    with pytest.raises(BadGreeting):
        greeting_length(sent)


@given(st.binary(max_size=64))
def test_what_is_refused_stays_refused(data: bytes) -> None:
    try:
        length = greeting_length(data)
    except BadGreeting:
        with pytest.raises(BadGreeting):
            greeting_length(data + b"x")
    else:
        assert length is None or length <= len(data)
