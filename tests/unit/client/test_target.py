"""What people type as a host."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.client.target import Target, parse_target
from qvdnode.model.errors import Invalid


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("node", Target("node", 8443)),
        ("Node.Example:443", Target("node.example", 443)),
        ("::1", Target("::1", 8443)),
        ("[::1]", Target("::1", 8443)),
        ("[fe80::1]:99", Target("fe80::1", 99)),
    ],
)
def test_hosts_with_and_without_port(text: str, target: Target) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "text", ["", ":1", "a:", "a:0", "a:65536", "a:x", "[::1", "[::1]x", "a b", "a:٣", "[]:1"]
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_target(text)


@given(st.text(max_size=30))
def test_a_parsed_target_reads_back(text: str) -> None:
    try:
        target = parse_target(text)
    except Invalid:
        return
    assert parse_target(str(target)) == target
