"""Finds the names and addresses of this host, for its self-made certificate."""

import fcntl
import re
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

SIOCGIFADDR: Final = 0x8915
HOST_NAME: Final = re.compile(r"(?=.{1,253}\Z)(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
INTERFACES_V6: Final = Path("/proc/net/if_inet6")

Address = IPv4Address | IPv6Address


def host_names(extra: Iterable[str] = ()) -> tuple[tuple[str, ...], tuple[Address, ...]]:
    """Names and addresses of this host, `extra` first. Asks no name server, so it never hangs."""
    names, addresses = sort_out(extra)
    names += filter(is_host_name, (socket.gethostname(), "localhost"))
    addresses += [*_addresses_v4(), *_addresses_v6()]
    return tuple(dict.fromkeys(names)), tuple(dict.fromkeys(addresses))


def sort_out(words: Iterable[str]) -> tuple[list[str], list[Address]]:
    """Words as names and as addresses."""
    names: list[str] = []
    addresses: list[Address] = []
    for word in words:
        try:
            addresses.append(ip_address(word))
        except ValueError:
            names.append(word)
    return names, addresses


def is_host_name(word: str) -> bool:
    """Whether a certificate can hold it as a name; letters of other scripts are written xn--."""
    return HOST_NAME.fullmatch(word) is not None


def parse_if_inet6(text: str) -> list[IPv6Address]:
    """The addresses in /proc/net/if_inet6, without the link-local ones, which need a zone."""
    found = [IPv6Address(int(line.split()[0], 16)) for line in text.splitlines() if line.strip()]
    return [address for address in found if not address.is_link_local]


def _addresses_v4() -> list[IPv4Address]:
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # an interface without an IPv4 address
                request = struct.pack("256s", name.encode()[:15])
                answer = fcntl.ioctl(probe.fileno(), SIOCGIFADDR, request)
                found.append(IPv4Address(answer[20:24]))
    return found


def _addresses_v6() -> list[IPv6Address]:
    with suppress(OSError):  # a kernel without IPv6
        return parse_if_inet6(INTERFACES_V6.read_text(encoding="ascii"))
    return []
