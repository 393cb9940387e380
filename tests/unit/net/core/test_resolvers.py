"""Which resolvers of a host its guests can use."""

from ipaddress import IPv4Address

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
