"""Judges the network: packet rules, forwarding, other firewalls, ports; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from qvdnode.cli.doctor.finding import Finding, error, ok, warning
from qvdnode.host.probes.ports import PortRefusal
from qvdnode.model.plurals import verb
from qvdnode.net.core.resolvers import Resolvers

USUAL_CONNECTIONS: Final = 64
"""Connections of a desktop on average: a browser in use has hundreds, but most are not in use."""
GREEDY_GUESTS: Final = 8
"""How many may be at their limit at the same time."""


@dataclass(frozen=True, slots=True)
class PortFacts:
    """One listener of the configuration."""

    section: str
    """Where it is set, such as clients."""
    address: str
    port: int
    refusal: PortRefusal | None
    """Why it cannot be listened on, None when it can."""
    ours: bool
    """Whether the node of this state folder listens there already."""


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """One look at the network."""

    rules_refusal: str | None
    """Why a table of our own could not be made, None when it could."""
    forwarding: bool
    droppers: Sequence[str]
    """Chains of others that drop forwarded packets."""
    accepts_past_droppers: bool
    """Whether network.foreign_forward lets the node open them."""
    connections_host: int | None
    """How many connections the kernel remembers; None when it does not tell yet."""
    connections_guest: int
    """How many of them one guest may have."""
    guests: int
    """How many guests the node may have room for."""
    subnet_clash: str | None
    """Link whose route meets the guests' subnet, None when there is none."""
    ports: Sequence[PortFacts]
    resolvers: Resolvers | None = None
    """DNS servers that guests are given; None where guests reach nothing outside."""


def judge(facts: NetworkFacts) -> list[Finding]:
    """All about the network."""
    return [
        rules(facts.rules_refusal),
        forwarding(on=facts.forwarding),
        foreign(facts.droppers, accepts=facts.accepts_past_droppers),
        connections(facts.connections_host, facts.connections_guest, facts.guests),
        subnet(facts.subnet_clash),
        resolvers(facts.resolvers),
        *map(port, facts.ports),
    ]


def rules(refusal: str | None) -> Finding:
    """Whether guests can be confined."""
    if refusal is None:
        return ok("nftables", "A table was made and removed")
    return error(
        "nftables", refusal, "Run as root on a kernel with nftables; install libnftables1."
    )


def forwarding(*, on: bool) -> Finding:
    """Whether the host passes packets on."""
    if on:
        return ok("forwarding", "IPv4 forwarding is on")
    return ok("forwarding", "Off; a node switches it on while it runs, and back at its end")


def foreign(droppers: Sequence[str], *, accepts: bool) -> Finding:
    """Whether somebody else's firewall stands in the way of guests."""
    if not droppers:
        return ok("foreign firewalls", "None drops what the host forwards")
    drop = f"{', '.join(droppers)} {verb(len(droppers), 'drop')} forwarded packets"
    if accepts:
        return ok("foreign firewalls", f"{drop}; the node opens them")
    return warning(
        "foreign firewalls",
        f"Guests get no answers from outside: {drop}",
        'Set network.foreign_forward = "accept", or accept the guests\' bridge there.',
    )


def connections(host: int | None, guest: int, guests: int) -> Finding:
    """Whether the host's table of connections suffices for all guests, a few of them at the limit.

    It need not have room for all at the limit: ordinary desktops are far below it.
    """
    subject = "connection table"
    if host is None:
        return ok(subject, "The kernel does not count connections yet")
    wanted = guests * USUAL_CONNECTIONS + GREEDY_GUESTS * guest
    told = f"{host:,} connections; {guests:,} guests may need {wanted:,}"
    if host >= wanted:
        return ok(subject, told)
    return warning(
        subject, told,
        f"Run sysctl -w net.netfilter.nf_conntrack_max={wanted}, or lower network.connections_max.",
    )  # fmt: skip


def subnet(clash: str | None) -> Finding:
    """Whether the guests' addresses are free."""
    if clash is None:
        return ok("guest addresses", "No other route leads there")
    return error(
        "guest addresses", f"Link {clash} has a route that meets network.subnet",
        "Set network.subnet to a free range.",
    )  # fmt: skip


def resolvers(usable: Resolvers | None) -> Finding:
    """Whether desktops can resolve names."""
    if usable is None:
        return ok("resolvers", "Desktops have no uplink and need none")
    if usable.servers:
        search = f", and look names up in {', '.join(usable.search)}" if usable.search else ""
        return ok("resolvers", f"Desktops get {', '.join(map(str, usable.servers))}{search}")
    return warning(
        "resolvers",
        "Desktops resolve no names: the host's resolver is on the host itself, or has no IPv4",
        "Set network.resolvers to DNS servers that desktops can reach.",
    )


def port(facts: PortFacts) -> Finding:
    """Whether one listener can be opened."""
    subject = f"port {facts.port}"
    if facts.port == 0:
        return ok(f"{facts.section}.port", "Any free port")
    if facts.ours:
        return ok(subject, "Our node listens there")
    if facts.refusal is None:
        return ok(subject, "Free")
    fix = (
        f"Set {facts.section}.address to an address of this host."
        if facts.refusal.of_address
        else f"Set another {facts.section}.port."
    )
    return error(subject, f"{facts.address}:{facts.port}: {facts.refusal.text}", fix)
