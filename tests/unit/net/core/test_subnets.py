"""How the guests' subnet fits among the host's routes."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from qvdnode.net.core.subnets import (
    PROVIDER_NETWORKS,
    Route,
    collision,
    default_links,
    host_networks,
    unused,
)

DEFAULT = Route(IPv4Network("0.0.0.0/0"), "eth0")
LAN = Route(IPv4Network("192.168.1.0/24"), "eth0")
VPN = Route(IPv4Network("10.8.0.0/16"), "wg0")
OURS = Route(IPv4Network("10.99.0.0/24"), "qvd0")
ROUTES = [DEFAULT, LAN, VPN, OURS]


def test_a_subnet_inside_or_around_a_route_collides() -> None:
    assert collision(IPv4Network("10.8.3.0/24"), ROUTES, own="qvd0") == VPN
    assert collision(IPv4Network("192.168.0.0/16"), ROUTES, own="qvd0") == LAN


def test_the_default_route_and_the_own_bridge_do_not_count() -> None:
    assert collision(IPv4Network("10.99.0.0/24"), ROUTES, own="qvd0") is None
    assert collision(IPv4Network("10.99.0.0/24"), ROUTES, own="xqvd0") == OURS


def test_uplinks_are_where_default_routes_lead() -> None:
    second = Route(IPv4Network("0.0.0.0/0"), "eth1")
    assert default_links([*ROUTES, second, DEFAULT]) == ("eth0", "eth1")
    assert default_links([LAN]) == ()


def test_a_vpn_that_takes_both_halves_of_the_world_is_an_uplink_and_no_network() -> None:
    halves = [Route(IPv4Network(half), "tun0") for half in ("0.0.0.0/1", "128.0.0.0/1")]
    assert collision(IPv4Network("10.99.0.0/24"), halves, own="qvd0") is None
    assert default_links([DEFAULT, *halves]) == ("eth0", "tun0")
    assert host_networks(halves, own="qvd0") == tuple(sorted(PROVIDER_NETWORKS))


def test_guests_are_kept_from_the_hosts_networks_and_from_the_providers() -> None:
    assert set(host_networks(ROUTES, own="qvd0")) == {
        LAN.destination,
        VPN.destination,
        *PROVIDER_NETWORKS,
    }


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",  # Amazon, Google, Azure, IBM, Hetzner and others
        "169.254.170.2",  # Amazon ECS
        "169.254.42.42",  # Scaleway
        "169.254.0.23",  # Tencent
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure's WireServer
        "192.0.0.192",  # Oracle, older
    ],
)
def test_no_clouds_metadata_is_left_out(address: str) -> None:
    denied = host_networks([DEFAULT], own="qvd0")
    assert any(IPv4Address(address) in network for network in denied)


def test_networks_that_contain_each_other_are_given_once() -> None:
    inner = Route(IPv4Network("10.8.1.0/24"), "wg0")
    assert inner.destination not in host_networks([VPN, inner], own="qvd0")


def test_unused_subnet_avoids_routes_and_depends_on_the_seed() -> None:
    first = unused(ROUTES, prefixlen=24, seed=0)
    assert first == IPv4Network("10.64.0.0/24")
    taken = Route(IPv4Network("10.64.0.0/24"), "eth9")
    assert unused([taken], prefixlen=24, seed=0) == IPv4Network("10.64.1.0/24")
    assert unused(ROUTES, prefixlen=24, seed=5) == IPv4Network("10.64.5.0/24")


def test_no_subnet_is_left_where_one_route_takes_all() -> None:
    assert unused([Route(IPv4Network("10.0.0.0/8"), "eth0")], prefixlen=24, seed=3) is None
