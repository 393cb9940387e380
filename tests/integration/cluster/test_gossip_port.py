import socket

import pytest

from qvdnode.cluster.gossip_port import GossipPort
from qvdnode.model.errors import HostFailed


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_one_number_serves_packets_and_streams(address: str) -> None:
    port = GossipPort.open(address, 0)
    assert port.number == port.udp.getsockname()[1] == port.tcp.getsockname()[1] > 0
    number = port.number
    port.close()
    GossipPort.open(address, number).close()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_number_that_is_in_use_is_told_by_its_setting(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(HostFailed, match=rf"\[gossip\].*{number}"):
            GossipPort.open("127.0.0.1", number)
    GossipPort.open("127.0.0.1", number).close()
