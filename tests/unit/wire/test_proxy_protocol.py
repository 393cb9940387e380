"""Heads in which load balancers name their clients."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.wire.proxy_protocol import (
    V1_BYTES_MAX,
    V2_BYTES_MAX,
    V2_SIGNATURE,
    BadProxyHead,
    ProxyHead,
    is_proxy_head,
    parse_proxy_head,
)


def version_2(command: int, kind: int, payload: bytes) -> bytes:
    """A binary head."""
    return V2_SIGNATURE + bytes([command, kind]) + len(payload).to_bytes(2, "big") + payload


IPV4 = bytes([203, 0, 113, 7, 10, 0, 0, 1]) + b"\xde\xad\x20\xfb"
IPV6 = ipaddress.ip_address("2001:db8::7").packed + bytes(16) + bytes(4)
MAPPED = ipaddress.ip_address("::ffff:203.0.113.7").packed + bytes(16) + bytes(4)
GOOD = [
    (b"PROXY TCP4 203.0.113.7 10.0.0.1 56324 8443\r\n", "203.0.113.7"),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 0 65535\r\n", "2001:db8::7"),
    (b"PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n", "203.0.113.7"),
    (b"PROXY UNKNOWN\r\n", ""),
    (b"PROXY UNKNOWN ::1 ::1 1 2\r\n", ""),
    (version_2(0x21, 0x11, IPV4), "203.0.113.7"),
    (version_2(0x21, 0x11, IPV4 + b"\x03\x00\x04abcd"), "203.0.113.7"),
    (version_2(0x21, 0x21, IPV6), "2001:db8::7"),
    (version_2(0x21, 0x21, MAPPED), "203.0.113.7"),
    (version_2(0x20, 0x00, b""), ""),
    (version_2(0x20, 0x11, IPV4), ""),
    (version_2(0x21, 0x00, b""), ""),
    (version_2(0x21, 0x31, bytes(216)), ""),
]


@pytest.mark.parametrize(("head", "source"), GOOD)
def test_a_whole_head_names_its_client(head: bytes, source: str) -> None:
    assert parse_proxy_head(head + b"\x16\x03\x01") == ProxyHead(len(head), source)
    assert is_proxy_head(head)
    for length in range(len(head)):
        assert parse_proxy_head(head[:length]) is None


@pytest.mark.parametrize(
    ("head", "because"),
    [
        (b"\x16\x03\x01", "does not begin"),
        (b"PROXX", "does not begin"),
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 56324\r\n", "fields"),
        (b"PROXY \r\n", "fields"),
        (b"PROXY UDP4 203.0.113.7 10.0.0.1 1 2\r\n", "fields"),
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 1 65536\r\n", "port"),
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 -1 2\r\n", "port"),
        (b"PROXY TCP4 203.0.113 10.0.0.1 1 2\r\n", "address is invalid"),
        (b"PROXY TCP4 \xff 10.0.0.1 1 2\r\n", "address is invalid"),
        (b"PROXY TCP4 2001:db8::7 10.0.0.1 1 2\r\n", "stated protocol"),
        (b"PROXY TCP6 fe80::1%a ::1 1 2\r\n", "stated protocol"),
        (b"PROXY " + b"x" * V1_BYTES_MAX, "too long"),
        (version_2(0x11, 0x11, IPV4), "version"),
        (version_2(0x22, 0x11, IPV4), "version"),
        (version_2(0x21, 0x11, IPV4[:11]), "truncated"),
        (version_2(0x21, 0x21, IPV6[:35]), "truncated"),
        (version_2(0x21, 0x11, bytes(V2_BYTES_MAX)), "too long"),
    ],
)
def test_a_broken_head_is_refused_with_the_reason(head: bytes, because: str) -> None:
    with pytest.raises(BadProxyHead, match=because):
        parse_proxy_head(head)


@given(st.binary(max_size=300))
def test_a_head_does_not_change_with_what_follows(data: bytes) -> None:
    for start in (b"PROXY ", V2_SIGNATURE + b"\x21\x11\x00", b""):
        try:
            head = parse_proxy_head(start + data)
        except BadProxyHead:
            continue
        if head is not None:
            assert parse_proxy_head((start + data)[: head.length]) == head
