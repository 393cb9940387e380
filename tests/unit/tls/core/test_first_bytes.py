"""What stands before TLS."""

import pytest

from qvdnode.tls.core.first_bytes import BAD, MISSING, UNEXPECTED, BadStart, FirstBytes

HEAD = b"PROXY TCP4 203.0.113.7 10.0.0.1 56324 8443\r\n"
HELLO = b"\x16\x03\x01\x02\x00"


def test_a_client_of_its_own_begins_with_tls() -> None:
    assert FirstBytes(behind_proxy=False).receive(HELLO) == ("", HELLO)


@pytest.mark.parametrize("head", [HEAD, b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"])
def test_a_proxy_head_from_an_unlisted_address_is_reported(head: bytes) -> None:
    with pytest.raises(BadStart, match="proxy_protocol_from") as refused:
        FirstBytes(behind_proxy=False).receive(head)
    assert refused.value.event == UNEXPECTED


def test_a_balancer_names_its_client_in_pieces_and_in_one() -> None:
    first = FirstBytes(behind_proxy=True)
    assert [first.receive(HEAD[at : at + 1]) for at in range(len(HEAD) - 1)] == [None] * 43
    assert first.receive(HEAD[-1:] + HELLO) == ("203.0.113.7", HELLO)
    assert FirstBytes(behind_proxy=True).receive(HEAD + HELLO) == ("203.0.113.7", HELLO)
    assert FirstBytes(behind_proxy=True).receive(b"PROXY UNKNOWN\r\n" + HELLO) == ("", HELLO)


@pytest.mark.parametrize(("start", "event"), [(HELLO, MISSING), (b"PROXY TCP5 \r\n", BAD)])
def test_a_balancer_without_a_good_head_is_named(start: bytes, event: str) -> None:
    with pytest.raises(BadStart) as refused:
        FirstBytes(behind_proxy=True).receive(start)
    assert refused.value.event == event
