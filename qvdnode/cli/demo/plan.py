"""Derives a demo's names and paths from its state folder; pure.

Two demos on one host have different names. The same folder gives the same names each time, so the
next demo finds what a killed one left behind.
"""

import hashlib
import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from types import MappingProxyType

from qvdnode.model.farm import DEFAULT_DRIVER

LOOPBACK = "127.0.0.1"
SUBNET_PREFIX_LENGTH = 24
ID_SLOTS = 1024
OWN_KERNEL = "kvm"
PATIENCE: Mapping[str, object] = MappingProxyType(
    {"boot_limit_s": 150.0, "session_limit_s": 90.0, "attach_limit_s": 90.0}
)
"""For machines on a host without KVM, which are about ten times slower than it."""
STATE_DIR = Path("/var/lib/qvdnode-demo")
"""The default state folder of demos; `make purge` removes it."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """The options of one demo."""

    state_dir: Path
    user: str
    password: str | None
    """None: draw one at the first run and keep it."""
    client_port: int
    admin_port: int
    screenshot: Path | None
    once: bool
    desktop: str = "xfce"
    """A recipe that comes with the program."""
    driver: str = DEFAULT_DRIVER
    """What runs the desktop; a flavour and a VM for each."""
    root: Path | None = None
    """A root file system to import as the image, which else is built."""
    number: int = 0
    """Number of the node in its farm, from 1 on; 0 for a demo of a single node."""

    @property
    def desk(self) -> str:
        """The name of flavour and VM."""
        return self.desktop if self.driver == DEFAULT_DRIVER else f"{self.desktop}-{self.driver}"

    @property
    def additions(self) -> tuple[str, ...]:
        """What the recipe gets for the driver."""
        return ("kernel",) if self.driver == OWN_KERNEL else ()

    @property
    def image(self) -> str:
        """The name of the image, which the desktops of several drivers can share."""
        return "-".join((self.desktop, *self.additions))

    @property
    def prefix(self) -> str:
        """The prefix of the names of network links, nftables tables and containers."""
        return f"d{self._digest[:3]}{self.number or ''}"

    @property
    def seed(self) -> int:
        """The number at which the search for a free subnet and free ids starts."""
        return int(self._digest[:8], 16)

    @property
    def folder(self) -> Path:
        """The demo's own files: configuration, logs, password, picture."""
        return self.state_dir / "demo"

    @property
    def build_folder(self) -> Path:
        """The folder in which a missing image is built; it holds nothing else."""
        return self.folder / "build"

    @property
    def config_file(self) -> Path:
        """The node's configuration."""
        return self.folder / "node.toml"

    @property
    def node_words(self) -> tuple[str, ...]:
        """The arguments of the node's Python; no other node has the same."""
        return ("-m", "qvdnode", "serve", "--config", str(self.config_file))

    def is_node(self, line: bytes) -> bool:
        """Whether a command line from /proc belongs to this demo's node."""
        return os.fsencode("".join(f"\0{word}" for word in self.node_words)) + b"\0" in line

    @property
    def log_file(self) -> Path:
        """The node's log."""
        return self.folder / "node.log"

    @property
    def password_file(self) -> Path:
        """The user's password; only the owner can read it."""
        return self.folder / "password"

    @property
    def token_file(self) -> Path:
        """The administrator's token, written by the node."""
        return self.state_dir / "admin.token"

    def what_stays(self, programs: str, account: str) -> str:
        """Return a sentence about what stays after the end, why, and how to remove it."""
        return (
            f"What stays, so that the next run is quick: {self.state_dir} with image and homes,"
            f" .venv, the Debian packages, and the account {account} that the database runs as;"
            f" {self.how_to_remove(programs)}."
        )

    def how_to_remove(self, programs: str) -> str:
        """Return the command that removes what the demo keeps."""
        if self.state_dir == STATE_DIR:
            return "make purge removes the folder and .venv"
        folder = shlex.quote(str(self.state_dir))
        return f"{programs}/qvdnode purge --state-dir {folder} removes the folder, make purge .venv"

    @property
    def _digest(self) -> str:
        return hashlib.sha256(str(self.state_dir).encode(errors="surrogatepass")).hexdigest()


def config_text(plan: DemoPlan, subnet: IPv4Network, id_base: int) -> str:
    """Return the node's configuration: it listens on loopback only and stops its guests at exit."""
    sections: dict[str, dict[str, object]] = {
        "node": {
            "name": f"demo-{plan.prefix}",
            "state_dir": str(plan.state_dir),
            "prefix": plan.prefix,
            "stop_guests": True,
        },
        "clients": {"address": LOOPBACK, "port": plan.client_port},
        "admin": {"address": LOOPBACK, "port": plan.admin_port},
        "peer": {"address": LOOPBACK, "port": 0},
        "gossip": {"address": LOOPBACK, "port": 0},
        "network": {"subnet": str(subnet)},
        "vm": {
            "id_base": id_base,
            "id_slots": ID_SLOTS,
            **(PATIENCE if plan.driver == OWN_KERNEL else {}),
        },
        # The name without the prefix is for the node of this host, which has files of its own.
        "drivers.docker": {"runtime": f"qvdnode-{plan.prefix}"},
    }
    return toml_text(sections)


def toml_text(sections: Mapping[str, Mapping[str, object]]) -> str:
    """Return the sections of a configuration as a file."""
    return "\n".join(f"[{name}]\n{_lines(table)}" for name, table in sections.items())


def _lines(table: Mapping[str, object]) -> str:
    # JSON's simple values are valid TOML, except escapes of characters beyond 16 bits.
    return "".join(f"{key} = {json.dumps(it, ensure_ascii=False)}\n" for key, it in table.items())
