"""Settings of the node itself: who it is, where it keeps things, what it listens on."""

import re
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from qvdnode.tls.host_names import is_host_name, sort_out

PREFIX: Final = re.compile(r"[a-z][a-z0-9]{0,4}|")
PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9_.+@/-]*")
"""What neither an overlay's options nor LXC's configuration take for syntax."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """The `[node]` section."""

    name: str = field(default_factory=lambda: socket.gethostname().split(".")[0])
    """The node's name in the farm; two nodes never share one."""
    state_dir: Path = Path("/var/lib/qvdnode")
    """Where images, homes, running guests, certificates and the embedded database are kept: a path
    of a-z, A-Z, 0-9 and / _ . + @ -."""
    prefix: str = ""
    """Goes before the names of links, tables and containers, so that several nodes (a demo, tests)
    can live on one host: at most five lower-case letters and digits."""
    stop_guests: bool = False
    """Whether a stop of the node stops its desktops too. By default they run on and are adopted."""

    def __post_init__(self) -> None:
        """Refuse what could not name a link or a folder."""
        if not PREFIX.fullmatch(self.prefix):
            raise ValueError("prefix must be at most five of a-z 0-9, starting with a letter")
        if not self.state_dir.is_absolute():
            raise ValueError("state_dir must be an absolute path")
        if not PLAIN_PATH.fullmatch(str(self.state_dir)):
            raise ValueError(
                "state_dir may hold only a-z, A-Z, 0-9 and / _ . + @ -, since its path goes into"
                " mounts and configurations where others mean something"
            )


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The `[tls]` section: the certificate that clients see."""

    certificate: Path | None = None
    """PEM file with the chain; without one the node makes its own at first start."""
    key: Path | None = None
    """PEM file with the private key of `certificate`."""
    names: tuple[str, ...] = ()
    """Names and addresses put into the node's own certificate, besides those of the host."""

    def __post_init__(self) -> None:
        """Refuse what no certificate can hold."""
        for name in sort_out(self.names)[0]:
            if not is_host_name(name):
                raise ValueError(
                    f"names: {name!r} is not a host name; letters beyond a-z are written as xn--"
                )


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The `[log]` section."""

    format: str = "text"
    """`text` for a person, `json` for one object a line."""
    level: str = "info"
    """`debug`, `info`, `warning` or `error`."""

    def __post_init__(self) -> None:
        """Refuse unknown words."""
        if self.format not in {"text", "json"}:
            raise ValueError("format must be text or json")
        if self.level not in {"debug", "info", "warning", "error"}:
            raise ValueError("level must be debug, info, warning or error")
