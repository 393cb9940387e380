"""Which resolvers of a host its guests can use."""

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from qvdnode.net.core.resolvers import usable

TEXT = """\
# generated
search example.org
nameserver 127.0.0.53
nameserver 192.0.2.53
nameserver fd00::53
nameserver 192.0.2.53
nameserver 0.0.0.0
nameserver
nameserver not-an-address
options edns0
nameserver 198.51.100.53 # trailing
"""


def test_only_reachable_ipv4_resolvers_are_taken_once_each_in_order() -> None:
    assert usable(TEXT) == (IPv4Address("192.0.2.53"), IPv4Address("198.51.100.53"))


def test_an_empty_file_names_none() -> None:
    assert usable("") == ()


@given(st.lists(st.sampled_from(["nameserver", "127.0.0.1", "192.0.2.1", "::1", "²", "#", "\n"])))
def test_any_text_names_what_guests_can_reach_or_nobody(words: list[str]) -> None:
    assert set(usable(" ".join(words))) <= {IPv4Address("192.0.2.1")}
