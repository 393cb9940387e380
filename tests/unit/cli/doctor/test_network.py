"""The network, judged."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from qvdnode.cli.doctor import network
from qvdnode.cli.doctor.finding import Level
from qvdnode.cli.doctor.network import NetworkFacts, PortFacts
from qvdnode.host.probes.ports import PortRefusal
from qvdnode.net.core.resolvers import Resolvers

PORT = PortFacts("clients", "0.0.0.0", 8443, None, ours=False)
RESOLVERS = Resolvers((IPv4Address("192.0.2.53"),), ("example.org",))
GOOD = NetworkFacts(None, True, (), False, 262_144, 4096, 1000, None, (PORT,), RESOLVERS)
BUSY = replace(PORT, refusal=PortRefusal("Address already in use", of_address=False))
FOREIGN = replace(PORT, refusal=PortRefusal("Cannot assign requested address", of_address=True))
DOCKER = ("ip filter FORWARD",)


@pytest.mark.parametrize(
    ("facts", "worst"),
    [
        (GOOD, []),
        (replace(GOOD, forwarding=False), []),
        (replace(GOOD, rules_refusal="Operation not permitted"), [("nftables", Level.ERROR)]),
        (replace(GOOD, droppers=DOCKER), [("foreign firewalls", Level.WARNING)]),
        (replace(GOOD, droppers=DOCKER, accepts_past_droppers=True), []),
        (replace(GOOD, connections_host=None), []),
        (replace(GOOD, connections_host=65_536), [("connection table", Level.WARNING)]),
        (replace(GOOD, resolvers=None), []),
        (replace(GOOD, resolvers=Resolvers()), [("resolvers", Level.WARNING)]),
        (replace(GOOD, subnet_clash="eth0"), [("guest addresses", Level.ERROR)]),
        (replace(GOOD, ports=(BUSY,)), [("port 8443", Level.ERROR)]),
        (replace(GOOD, ports=(replace(BUSY, ours=True),)), []),
        (replace(GOOD, ports=(replace(PORT, port=0),)), []),
    ],
)
def test_each_lack_is_told(facts: NetworkFacts, worst: list[tuple[str, Level]]) -> None:
    findings = network.judge(facts)
    bad = [item for item in findings if item.level is not Level.OK]
    assert [(item.subject, item.level) for item in bad] == worst
    assert all(item.fix for item in bad)


def test_resolvers_and_search_domains_are_named() -> None:
    found = network.resolvers(RESOLVERS)
    assert found.text == "Desktops get 192.0.2.53, and look names up in example.org"


def test_the_mend_of_a_port_is_of_what_is_wrong() -> None:
    assert network.port(BUSY).fix == "Set another clients.port."
    assert "clients.address" in network.port(FOREIGN).fix


def test_a_foreign_firewall_is_named() -> None:
    said = network.foreign(DOCKER, accepts=False).text
    assert said.endswith("ip filter FORWARD drops forwarded packets")
    two = network.foreign((*DOCKER, "ufw"), accepts=False).text
    assert two.endswith("ip filter FORWARD, ufw drop forwarded packets")
