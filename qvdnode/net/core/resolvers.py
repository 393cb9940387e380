"""Which DNS resolvers a host's resolv.conf names that its guests can use too."""

from ipaddress import AddressValueError, IPv4Address


def usable(text: str) -> tuple[IPv4Address, ...]:
    """The IPv4 name servers of a resolv.conf, without those on the host itself."""
    found: list[IPv4Address] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            address = IPv4Address(words[1])
        except AddressValueError:
            continue
        if not address.is_loopback and not address.is_unspecified and address not in found:
            found.append(address)
    return tuple(found)
