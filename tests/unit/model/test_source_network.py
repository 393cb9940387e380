"""What counts as one source."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.source_network import UNKNOWN, SourceNetwork, plain_address, source_networks


def names(address: str) -> list[str]:
    return [network.name for network in source_networks(address)]


def test_an_ipv4_address_is_one_source() -> None:
    assert source_networks("192.0.2.1") == (SourceNetwork("192.0.2.1", 1),)
    assert source_networks("192.0.2.2") != source_networks("192.0.2.1")


def test_an_ipv6_address_counts_in_its_networks_with_larger_limits_for_wider_ones() -> None:
    assert source_networks("2001:db8:1:2fe:3:4:5:6") == (
        SourceNetwork("2001:db8:1:2fe::/64", 1),
        SourceNetwork("2001:db8:1:200::/56", 4),
        SourceNetwork("2001:db8:1::/48", 16),
    )


@pytest.mark.parametrize("text", ["::ffff:192.0.2.1", "::FFFF:c000:201", "64:ff9b::192.0.2.1"])
def test_an_ipv4_client_counts_as_such_however_it_is_shown(text: str) -> None:
    assert names(text) == ["192.0.2.1"]
    assert plain_address(text) == "192.0.2.1"


def test_a_zone_is_no_way_round() -> None:
    assert names("fe80::1%eth0") == names("fe80::1%eth1") == names("fe80::2")


@pytest.mark.parametrize("text", ["", "?", "host.example", "192.0.2", "::1/64", "1" * 10_000])
def test_all_that_is_no_address_is_one_source(text: str) -> None:
    assert names(text) == [UNKNOWN]
    assert plain_address(text) == text


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_all_hosts_of_a_64_are_one_source(one: ipaddress.IPv6Address, host: int) -> None:
    other = ipaddress.IPv6Address(int(one) >> 64 << 64 | host)
    if plain_address(str(one)) == str(one) and plain_address(str(other)) == str(other):
        assert source_networks(str(one)) == source_networks(str(other))


@given(st.text() | st.ip_addresses().map(str))
def test_any_text_has_networks_with_short_names_the_narrowest_first(text: str) -> None:
    networks = source_networks(text)
    multipliers = [network.multiplier for network in networks]
    assert multipliers == sorted(set(multipliers))
    assert multipliers[0] == 1
    assert all(len(network.name) <= 43 for network in networks)


@given(st.ip_addresses())
def test_an_address_lies_in_each_of_its_networks(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    plain = ipaddress.ip_address(plain_address(str(address)))
    assert all(plain in ipaddress.ip_network(name) for name in names(str(address)))
    assert source_networks(str(plain)) == source_networks(str(address))
