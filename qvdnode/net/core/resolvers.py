"""What of a host's resolv.conf its guests can use too: DNS resolvers and search domains. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Final

DOMAINS_MAX: Final = 6
"""As many as every resolver library tries."""
DOMAINS_LENGTH_MAX: Final = 256
"""Characters of all of them, with a blank between each two."""
_NAME_MAX: Final = 253
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Resolvers:
    """What guests are told of name resolution."""

    servers: tuple[IPv4Address, ...] = ()
    search: tuple[str, ...] = ()
    """Domains in which a name without a dot is looked up."""


def usable(text: str) -> Resolvers:
    """The IPv4 name servers of a resolv.conf that are not on the host itself, and its domains.

    As resolvers read it, the last line of `search` or `domain` counts.
    """
    found: list[IPv4Address] = []
    search: list[str] = []
    for line in text.splitlines():
        keyword, *words = line.split() or [""]
        if keyword in {"search", "domain"}:
            search = words if keyword == "search" else words[:1]
        elif keyword == "nameserver" and words:
            address = _address(words[0])
            if address is not None and address not in found:
                found.append(address)
    return Resolvers(tuple(found), search_domains(search))


def search_domains(words: Iterable[str]) -> tuple[str, ...]:
    """Those that are names of domains, in small letters, as many as resolvers take."""
    names = dict.fromkeys(word.removesuffix(".").lower() for word in words)
    chosen: list[str] = []
    for name in filter(is_domain, names):
        if len(chosen) == DOMAINS_MAX or len(" ".join([*chosen, name])) > DOMAINS_LENGTH_MAX:
            break
        chosen.append(name)
    return tuple(chosen)


def is_domain(name: str) -> bool:
    """Whether that is the name of a domain, without a dot at its end."""
    return len(name) <= _NAME_MAX and all(_LABEL.fullmatch(part) for part in name.split("."))


def _address(text: str) -> IPv4Address | None:
    try:
        address = IPv4Address(text)
    except AddressValueError:
        return None
    return None if address.is_loopback or address.is_unspecified else address
