"""Whose PROXY heads are believed."""

import pytest

from qvdnode.tls.core.trusted_proxies import TrustedProxies


def test_networks_and_addresses_of_both_kinds_are_trusted() -> None:
    proxies = TrustedProxies(("10.0.0.0/8", "192.0.2.1", "2001:db8::/32"))
    for trusted in ("10.255.0.1", "192.0.2.1", "2001:db8::5"):
        assert trusted in proxies
    for stranger in ("11.0.0.1", "192.0.2.2", "2001:db9::5", "?", ""):
        assert stranger not in proxies
    assert "10.0.0.1" not in TrustedProxies()


@pytest.mark.parametrize("text", ["balancer", "10.0.0.1/8", "", "10.0.0.0/33"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="proxy_protocol_from"):
        TrustedProxies((text,))
