"""The address towards other networks, in network namespaces of the test's own."""

import pytest

from qvdnode.host.own_address import LOOPBACK, own_address
from tests.fixtures_netns import NODE_UPLINK, Lab, ip_batch

pytestmark = pytest.mark.nftables


def test_it_is_that_of_the_default_route(bare_lab: Lab) -> None:
    assert own_address() == str(NODE_UPLINK)


def test_a_host_without_a_route_has_its_loopback(bare_lab: Lab) -> None:
    ip_batch("route del default", netns=bare_lab.node.name)
    ip_batch("link set up0 down", netns=bare_lab.node.name)
    assert own_address() == LOOPBACK
