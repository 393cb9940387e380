"""Where to dial."""

from dataclasses import dataclass
from typing import Final

from qvdnode.model.errors import Invalid

QVD_PORT: Final = 8443


@dataclass(frozen=True, slots=True)
class Target:
    """A host and port; its text is what pins are kept under."""

    host: str
    port: int = QVD_PORT

    def __str__(self) -> str:
        """host:port, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_target(text: str) -> Target:
    """HOST, HOST:PORT, [IPv6] or [IPv6]:PORT; raises Invalid."""
    host, port = text, str(QVD_PORT)
    if text.startswith("["):
        host, bracket, tail = text[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise Invalid(f"{text!r} is not a host and port.", field="host")
        port = tail[1:] if tail else port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not host or any(c.isspace() for c in host):
        raise Invalid(f"{text!r} is not a host.", field="host")
    if not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65_536:
        raise Invalid(f"{port!r} is not a port.", field="host")
    return Target(host.lower(), int(port))
