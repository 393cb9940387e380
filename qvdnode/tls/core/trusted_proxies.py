"""The addresses whose connections must begin with a PROXY protocol head. Pure."""

import ipaddress
from collections.abc import Sequence


class TrustedProxies:
    """The load balancers in front of a port, as networks."""

    def __init__(self, networks: Sequence[str] = ()) -> None:
        """Raises ValueError with the text that is not an address or network."""
        self._networks = tuple(_network(text) for text in networks)

    def __contains__(self, address: str) -> bool:
        """Whether connections from that address must begin with a head."""
        if not self._networks:
            return False
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(
            f"proxy_protocol_from: {text!r} is not an address or network such as 10.0.0.0/8"
        ) from error
