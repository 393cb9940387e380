"""What the [network] section refuses."""

from ipaddress import IPv4Network
from typing import Any

import pytest

from qvdnode.net.settings import NetSettings


def test_defaults_are_fine_and_the_bridge_carries_the_prefix() -> None:
    assert NetSettings().bridge_name == "qvd0"
    assert NetSettings(prefix="demo").bridge_name == "demoqvd0"
    assert NetSettings(prefix="demo", bridge="br7").bridge_name == "br7"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prefix": "aqv"}, "prefix"),
        ({"bridge": "a name"}, "bridge"),
        ({"bridge": "x" * 16}, "bridge"),
        ({"bridge": ".."}, "bridge"),
        ({"bridge": "qvD0"}, "bridge"),
        ({"subnet": IPv4Network("10.0.0.0/15")}, "subnet"),
        ({"subnet": IPv4Network("10.0.0.0/30")}, "subnet"),
        ({"search_domains": ("no domain",)}, "search_domains"),
        ({"search_domains": ("Example.org",)}, "search_domains"),
        ({"search_domains": tuple("abcdefg")}, "search_domains"),
        ({"connections_max": 15}, "connections_max"),
        ({"node_uid": -1}, "node_uid"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        NetSettings(**changes)
