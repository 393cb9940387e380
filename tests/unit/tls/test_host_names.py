from ipaddress import ip_address

import pytest

from qvdnode.tls.host_names import is_host_name, parse_if_inet6, sort_out

IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000005 02 40 00 80     eth0
fe80000000000000021122fffe334455 02 40 20 80     eth0
"""


def test_words_are_told_apart_as_names_and_addresses() -> None:
    names, addresses = sort_out(["desk.example", "192.0.2.7", "2001:db8::1"])
    assert names == ["desk.example"]
    assert addresses == [ip_address("192.0.2.7"), ip_address("2001:db8::1")]


@pytest.mark.parametrize(
    "word", ["desk", "desk1.example", "*.example", "xn--bro-hoa.example", "a_b"]
)
def test_a_name_of_a_host_is_one(word: str) -> None:
    assert is_host_name(word)


@pytest.mark.parametrize("word", ["", "büro.example", "a b", "desk.", "a..b", "a\n", "x" * 254])
def test_what_no_certificate_can_hold_is_no_name(word: str) -> None:
    assert not is_host_name(word)


def test_link_local_addresses_are_left_out() -> None:
    assert parse_if_inet6(IF_INET6) == [ip_address("::1"), ip_address("2001:db8::5")]


def test_no_ipv6_gives_no_addresses() -> None:
    assert parse_if_inet6("") == []
