"""Parses the head in which a load balancer names its client: PROXY protocol 1 and 2. Pure.

Version 1 is a line of text, version 2 is binary; both precede the first byte of TLS. HAProxy's
`proxy-protocol.txt` defines the format.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final

from qvdnode.model.source_network import plain_address

V1_START: Final = b"PROXY "
V1_BYTES_MAX: Final = 107
V2_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
V2_FIXED_BYTES: Final = 16
V2_BYTES_MAX: Final = 4096
"""Fixed part, addresses and extensions; extensions are usually some hundred bytes."""
V2_LOCAL: Final = 0x20
V2_PROXY: Final = 0x21
V2_ADDRESS_BYTES: Final = {0x11: 4, 0x21: 16}
"""Bytes of one address of TCP over IPv4 and over IPv6."""
PORT_BYTES: Final = 2
PORT_MAX: Final = 65_535


class BadProxyHead(ValueError):
    """The bytes are not a PROXY head; the message says why and does not contain them."""


@dataclass(frozen=True, slots=True)
class ProxyHead:
    """The content of a head."""

    length: int
    """In bytes; the client's own data follows."""
    source: str
    """The client's address; empty for a balancer's own connection or an unknown address."""


def is_proxy_head(data: bytes) -> bool:
    """Whether a connection begins with such a head; TLS never does."""
    return data.startswith((V1_START, V2_SIGNATURE))


def parse_proxy_head(data: bytes) -> ProxyHead | None:
    """Parse the head at the start of the data, None until complete; raises BadProxyHead."""
    if data.startswith(V1_START):
        return _version_1(data)
    if data.startswith(V2_SIGNATURE):
        return _version_2(data)
    if V1_START.startswith(data) or V2_SIGNATURE.startswith(data):
        return None
    raise BadProxyHead("it does not begin like a PROXY head")


def _version_1(data: bytes) -> ProxyHead | None:
    line, end, _ = data[:V1_BYTES_MAX].partition(b"\r\n")
    if not end:
        if len(data) >= V1_BYTES_MAX:
            raise BadProxyHead("its line is too long")
        return None
    length = len(line) + len(end)
    words = line.split(b" ")
    if words[1] == b"UNKNOWN":
        return ProxyHead(length, "")
    if len(words) != 6 or words[1] not in {b"TCP4", b"TCP6"}:
        raise BadProxyHead("its line lacks fields of TCP4, TCP6 or UNKNOWN")
    version = 4 if words[1] == b"TCP4" else 6
    source, _destination = (_text_address(word, version) for word in words[2:4])
    for word in words[4:]:
        if not (word.isdigit() and len(word) <= 5 and int(word) <= PORT_MAX):
            raise BadProxyHead("a port is invalid")
    return ProxyHead(length, source)


def _text_address(word: bytes, version: int) -> str:
    try:
        address = ipaddress.ip_address(word.decode("ascii"))
    except ValueError as error:
        raise BadProxyHead("an address is invalid") from error
    if address.version != version or b"%" in word:
        raise BadProxyHead("an address is not of the stated protocol")
    return plain_address(str(address))


def _version_2(data: bytes) -> ProxyHead | None:
    if len(data) < V2_FIXED_BYTES:
        return None
    command, kind = data[12], data[13]
    length = V2_FIXED_BYTES + int.from_bytes(data[14:16], "big")
    if command not in {V2_LOCAL, V2_PROXY}:
        raise BadProxyHead("its version or command is unknown")
    if length > V2_BYTES_MAX:
        raise BadProxyHead("it is too long")
    if len(data) < length:
        return None
    size = V2_ADDRESS_BYTES.get(kind)
    if command == V2_LOCAL or size is None:
        return ProxyHead(length, "")
    if length < V2_FIXED_BYTES + 2 * (size + PORT_BYTES):
        raise BadProxyHead("its addresses are truncated")
    packed = data[V2_FIXED_BYTES : V2_FIXED_BYTES + size]
    return ProxyHead(length, plain_address(str(ipaddress.ip_address(packed))))
