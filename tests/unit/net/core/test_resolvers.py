"""Which resolvers of a host its guests can use."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.net.core.resolvers import Resolvers, usable

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
    assert usable(TEXT).servers == (IPv4Address("192.0.2.53"), IPv4Address("198.51.100.53"))


def test_an_empty_file_names_none() -> None:
    assert usable("") == Resolvers()


@pytest.mark.parametrize(
    ("text", "search"),
    [
        ("search example.org\n", ("example.org",)),
        ("search One.Example two.example. one.example\n", ("one.example", "two.example")),
        ("search a.example\nsearch b.example c.example\n", ("b.example", "c.example")),
        ("search a.example\ndomain b.example c.example\n", ("b.example",)),
        ("domain\n", ()),
        (
            "search . -a.example a-.example b..c ex$(reboot).org x\u00fcn.example ok-1.example\n",
            ("ok-1.example",),
        ),
        ("search _tcp.example\n", ("_tcp.example",)),
        (f"search {'a' * 64}.example b.example\n", ("b.example",)),
        (f"search {'a.' * 127}b c.example\n", ("c.example",)),
        (
            "search " + " ".join(f"d{n}.example" for n in range(9)),
            tuple(f"d{n}.example" for n in range(6)),
        ),
    ],
)
def test_search_domains_are_names_and_few(text: str, search: tuple[str, ...]) -> None:
    assert usable(text).search == search


def test_search_domains_are_short_in_all() -> None:
    names = [f"{letter * 60}.{letter * 30}.example" for letter in "abcde"]
    assert usable(f"search {' '.join(names)}").search == tuple(names[:2])


@given(st.lists(st.sampled_from(["nameserver", "127.0.0.1", "192.0.2.1", "::1", "²", "#", "\n"])))
def test_any_text_names_what_guests_can_reach_or_nobody(words: list[str]) -> None:
    assert set(usable(" ".join(words)).servers) <= {IPv4Address("192.0.2.1")}
