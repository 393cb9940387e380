"""Judges how this host gets on with the other nodes of its farm; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from qvdnode.cli.doctor.finding import Finding, error, ok, warning
from qvdnode.peer.examination import PeerState
from qvdnode.wire.plain_text import printable

SUBJECT: Final = "farm"
CLOCK_LIMIT_S: Final = 60.0
"""Beyond this no host joins, and nodes warn of each other."""
CLOCK_ODD_S: Final = 2.0
"""Hosts with a time service are far closer."""
SOON: Final = timedelta(days=14)
"""A node renews its certificate 30 days before the end."""
NEVER_SERVED: Final = "Start the node: it renews its certificate itself."


@dataclass(frozen=True, slots=True)
class Datagrams:
    """What comes back over UDP."""

    small_s: float | None
    """Seconds for a small one; None when none came back."""
    full_s: float | None
    """For one as large as the membership sends, in one piece."""
    problem: str | None = None
    """Why none could be sent."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """Another node."""

    name: str
    host: str
    port: int
    gossip_port: int
    """0 while it is not known."""
    state: PeerState
    datagrams: Datagrams | None
    """None where they were not tried."""


@dataclass(frozen=True, slots=True)
class FarmFacts:
    """This host as a node."""

    program: str
    certificate_ends: datetime | None
    """When this node's certificate ends; None before it has one."""
    superseded_dsn: bool
    """Whether the configuration names a database that the farm has left."""
    nodes: Sequence[NodeFacts]


def judge(facts: FarmFacts, now: datetime) -> list[Finding]:
    """All about the farm; nothing for a host that is not a node of one yet."""
    found = []
    if facts.certificate_ends is not None:
        found.append(certificate("node certificate", facts.certificate_ends, now))
    if facts.superseded_dsn:
        found.append(
            warning(
                SUBJECT,
                "database.dsn names a database that the farm has left; the node passes it over",
                "Correct it, or remove the line: `qvdnode database show` tells where the farm is.",
            )
        )
    for node in facts.nodes:
        found += node_findings(node, facts.program, now)
    return found


def node_findings(node: NodeFacts, program: str, now: datetime) -> list[Finding]:
    """What there is to say of one other node."""
    subject, state = f"node {printable(node.name)}", node.state
    if state.problem is not None:
        return [
            error(
                subject,
                f"TCP {node.host} port {node.port}: {printable(state.problem)}",
                "Start it, or open that port between the nodes; if it is gone for good,"
                " `qvd node fence` and `qvd node remove`.",
            ),
            *datagrams(subject, node),
        ]
    found = [*datagrams(subject, node), *clock(subject, state.ahead_s)]
    if state.certificate_ends is not None and state.certificate_ends - now < SOON:
        found.append(certificate(subject, state.certificate_ends, now))
    found += version(subject, state.program, program)
    return found or [ok(subject, f"TCP {node.host} port {node.port}: reached")]


def datagrams(subject: str, node: NodeFacts) -> list[Finding]:
    """Whether the membership's datagrams arrive, also the largest."""
    tried = node.datagrams
    where = f"UDP {node.host} port {node.gossip_port}"
    if tried is None:
        return []
    if tried.problem is not None or tried.small_s is None:
        because = printable(tried.problem or "nothing comes back")
        return [
            warning(
                subject,
                f"{where}: {because}; the nodes fall back to TCP, and notice failures later",
                "Open UDP and TCP of that port between all nodes; an older program does not"
                " answer: upgrade it.",
            )
        ]
    if tried.full_s is None:
        return [
            warning(
                subject,
                f"{where}: small datagrams come back, those of 1,400 bytes do not in one piece",
                "Raise the MTU of the way to 1,428 or more (1,448 for IPv6), or let fragments"
                " pass; over a tunnel, lower what it adds.",
            )
        ]
    return [ok(subject, f"{where} and TCP port {node.port}: {tried.full_s * 1000:.1f} ms")]


def clock(subject: str, ahead_s: float | None) -> list[Finding]:
    """Whether the clocks agree."""
    if ahead_s is None or abs(ahead_s) <= CLOCK_ODD_S:
        return []
    text = (
        f"Its clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} this host's"
    )
    fix = "Run a time service, such as chrony, on both."
    return [(error if abs(ahead_s) > CLOCK_LIMIT_S else warning)(subject, text, fix)]


def version(subject: str, theirs: str, ours: str) -> list[Finding]:
    """Whether both run one program."""
    if theirs == ours:
        return []
    known = f"version {printable(theirs)}" if theirs else "an older version"
    return [
        warning(
            subject,
            f"It runs {known}, and this host {ours}: both go on, for the time of an upgrade",
            "Upgrade the older one; docs/operations.md has the order.",
        )
    ]


def certificate(subject: str, ends: datetime, now: datetime) -> Finding:
    """Whether a node's certificate holds."""
    if ends <= now:
        return error(subject, f"Its certificate expired on {ends:%Y-%m-%d}", NEVER_SERVED)
    if ends - now < SOON:
        return warning(
            subject,
            f"Its certificate ends on {ends:%Y-%m-%d} and was not renewed: the database was away,"
            " or the node does not run",
            NEVER_SERVED,
        )
    return ok(subject, f"Valid until {ends:%Y-%m-%d}; the node renews it by itself")
