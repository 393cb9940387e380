"""The parameters file of the session script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.errors import Invalid
from qvdnode.wire.session_params import KEY, LINES_MAX, VALUE_MAX, custom_key, decode, encode

KEYS = st.from_regex(r"[A-Z][A-Za-z0-9_]{0,63}", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters="\0"), max_size=200)


def test_a_value_travels_as_hexadecimal() -> None:
    assert encode({"SHELL": "/bin/sh", "LOGIN": "alice"}) == (
        b"LOGIN=616c696365\nSHELL=2f62696e2f7368\n"
    )


@given(st.text())
def test_any_name_of_a_client_makes_a_key(name: str) -> None:
    assert KEY.match(custom_key(name))
    assert custom_key("a.b-c") == "CUSTOM_a_b_c"


@given(st.dictionaries(KEYS, VALUES, max_size=20))
def test_what_is_written_is_read_again(params: dict[str, str]) -> None:
    assert decode(encode(params)) == params


@given(st.dictionaries(KEYS, VALUES, max_size=20))
def test_no_value_can_reach_a_shell(params: dict[str, str]) -> None:
    for line in encode(params).splitlines():
        key, _, value = line.partition(b"=")
        assert params[key.decode()].encode("utf-8", errors="surrogatepass").hex() == value.decode()


@pytest.mark.parametrize("key", ["", "login", "LOG IN", "LOGIN\n", "X=Y", "$(id)", "A" * 65, "É"])
def test_an_odd_name_is_refused(key: str) -> None:
    with pytest.raises(Invalid, match="not a name of a session parameter"):
        encode({key: "x"})


def test_a_value_has_bounds() -> None:
    assert decode(encode({"K": "x" * VALUE_MAX})) == {"K": "x" * VALUE_MAX}
    with pytest.raises(Invalid, match="over 4096 bytes"):
        encode({"K": "x" * (VALUE_MAX + 1)})
    with pytest.raises(Invalid, match="zero byte"):
        encode({"K": "a\0b"})
    with pytest.raises(Invalid, match="at most 256"):
        encode({f"K{number}": "" for number in range(LINES_MAX + 1)})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"LOGIN=61", "in the middle of a line"),
        (b"LOGIN\n", "not KEY=hex"),
        (b"login=61\n", "not KEY=hex"),
        (b"LOGIN=6\n", "not hexadecimal"),
        (b"LOGIN=6G\n", "not hexadecimal"),
        (b"LOGIN=ff\n", "not UTF-8"),
        (b"LOGIN=61\nLOGIN=62\n", "stands there twice"),
        (b"K=\n" * (LINES_MAX + 1), "more than 256"),
        (b"K=" + b"61" * (VALUE_MAX + 1) + b"\n", "not hexadecimal"),
    ],
)
def test_what_is_not_ours_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        decode(content)


@given(st.binary())
def test_rubbish_is_read_or_refused_but_never_crashes(content: bytes) -> None:
    try:
        params = decode(content)
    except Invalid:
        return
    assert (
        decode(encode({key: value for key, value in params.items() if "\0" not in value}))
        or not params
    )
