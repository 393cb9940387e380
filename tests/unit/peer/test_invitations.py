"""What an invitation prints is what the new host reads."""

import pytest

from qvdnode.model.errors import Invalid
from qvdnode.peer.invitations import Token, join_url, parse_token, parse_url

TOKEN = Token("s" * 43, "p" * 43)


def test_a_token_is_read_as_it_was_printed() -> None:
    assert parse_token(str(TOKEN)) == TOKEN
    assert parse_token(f" {TOKEN}\n") == TOKEN


@pytest.mark.parametrize("text", ["", "s" * 43, f"{TOKEN}x", f"{'s' * 42}!.{'p' * 43}", "a.b"])
def test_a_token_that_lost_a_part_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="Copy the whole line"):
        parse_token(text)


@pytest.mark.parametrize(
    ("host", "port"), [("192.0.2.1", 8445), ("2001:db8::1", 9000), ("desk1.example", 8445)]
)
def test_a_url_is_read_as_it_was_printed(host: str, port: int) -> None:
    assert parse_url(join_url(host, port)) == (host, port)


def test_scheme_and_port_may_be_left_out() -> None:
    assert parse_url("desk1") == ("desk1", 8445)
    assert parse_url("192.0.2.1:9000") == ("192.0.2.1", 9000)


@pytest.mark.parametrize(
    "text",
    ["", "https://desk1", "qvdnode://", "desk1/x", "desk1:port", "desk1:70000", "a@desk1", "a?b=c",
     "qvdnode://[::1"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="not an address to join at"):
        parse_url(text)
