"""Derives the names, addresses and configurations of a demo of several nodes; pure."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Final

from qvdnode.cli.demo.plan import ID_SLOTS, DemoPlan, toml_text

FARM_NAME: Final = "farm.test"
"""The name with the addresses of all nodes; no DNS server has names below `test` (RFC 6761)."""
CLIENT_PORT: Final = 8443
ADMIN_PORT: Final = 8444
NODES_MAX: Final = 8
"""More would not fit into the prefix of a node's names, nor into the memory of most hosts."""
HOST_ADDRESS: Final = 254
"""The last part of this host's own address in the farm's network."""


@dataclass(frozen=True, slots=True)
class FarmPlan:
    """One demo of a farm: what its nodes are called and where they keep their state."""

    base: DemoPlan
    """The options; its folder holds what the nodes share."""
    count: int

    @property
    def folder(self) -> Path:
        """What nodes keep; guests enter it with shifted ids, so all may pass through it."""
        return self.base.state_dir / "nodes"

    @property
    def homes(self) -> Path:
        """The homes that all nodes share, as on a file server."""
        return self.folder / "homes"

    @property
    def database(self) -> Path:
        """The folder of the farm's PostgreSQL, which no node runs: any of them may be killed."""
        return self.folder / "database"

    @property
    def tls(self) -> Path:
        """The certificate for the farm's name, which all nodes show."""
        return self.folder / "tls"

    @property
    def hosts_file(self) -> Path:
        """What the client has in place of /etc/hosts."""
        return self.base.folder / "hosts"

    @property
    def link(self) -> str:
        """The name of this host's end of the link to the farm's network."""
        return f"{self.base.prefix}farm"

    @property
    def members(self) -> tuple[DemoPlan, ...]:
        """A plan for each node, the first one first."""
        return tuple(
            replace(self.base, state_dir=self.folder / str(number), number=number)
            for number in range(1, self.count + 1)
        )

    @property
    def keeper_words(self) -> tuple[str, ...]:
        """The arguments of Python for the process that keeps the database."""
        return ("-m", "qvdnode.cli.demo.database_keeper", str(self.base.state_dir))

    def is_keeper(self, line: bytes) -> bool:
        """Whether a command line from /proc belongs to that process."""
        return os.fsencode("".join(f"\0{word}" for word in self.keeper_words)) + b"\0" in line


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks of one node: the farm's, and that of its guests."""

    farm: IPv4Network
    guests: IPv4Network


def farm_of(base: DemoPlan, count: int = NODES_MAX) -> FarmPlan:
    """The farm of a demo's folder; by default of as many nodes as there can be."""
    return FarmPlan(base, count)


def node_name(member: DemoPlan) -> str:
    """What the node is called."""
    return f"node{member.number}"


def address(network: IPv4Network, number: int) -> IPv4Address:
    """The address of a node in the farm's network."""
    return network[number]


def member_config(
    farm: FarmPlan, member: DemoPlan, networks: Networks, id_base: int, dsn: str
) -> str:
    """The configuration of one node, which has the default ports at an address of its own.

    Only the first node is told the database: the others learn it when they join.
    """
    here = str(address(networks.farm, member.number))
    first = member.number == 1
    return toml_text(
        {
            "node": {
                "name": node_name(member),
                "state_dir": str(member.state_dir),
                "prefix": member.prefix,
                "stop_guests": True,
            },
            "clients": {"address": here, "port": CLIENT_PORT},
            "admin": {"address": here, "port": ADMIN_PORT},
            "peer": {"address": here},
            "gossip": {"address": here},
            "tls": {
                "certificate": str(farm.tls / "node.crt"),
                "key": str(farm.tls / "node.key"),
            },
            **({"database": {"dsn": dsn}} if first else {}),
            "network": {"subnet": str(networks.guests), "uplink": "none"},
            "image": {"homes_shared": True},
            "vm": {"id_base": id_base, "id_slots": ID_SLOTS},
            # Equal memory is merged by the kernel for the whole host, so one node alone may do it.
            "memory": {"ksm": "off"},
        }
    )


def hosts_text(before: str, addresses: Sequence[IPv4Address]) -> str:
    """/etc/hosts with the farm's name, which leads to all these addresses in that order."""
    lines = "".join(f"{it} {FARM_NAME}\n" for it in addresses)
    return f"{before.rstrip()}\n{lines}"
