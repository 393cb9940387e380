"""Ports of this very host, tried."""

import socket

import pytest

from qvdnode.host.probes import ports


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_a_port_that_somebody_listens_on_is_refused_and_a_free_one_is_not(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as taken:
        port = taken.getsockname()[1]
        refusal = ports.refusal(address, port)
    assert refusal is not None
    assert "in use" in refusal.text
    assert not refusal.of_address
    assert ports.refusal(address, port) is None


@pytest.mark.parametrize("address", ["192.0.2.77", "2001:db8::77", "no.such.name.invalid"])
def test_an_address_of_another_host_is_refused_for_the_address(address: str) -> None:
    refusal = ports.refusal(address, 0)
    assert refusal is not None
    assert refusal.of_address
