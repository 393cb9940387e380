"""The JSON that libnftables expects."""

from ipaddress import IPv4Network

from qvdnode.net.core import expressions as nft


def test_a_sequence_becomes_an_anonymous_set_and_a_name_stays() -> None:
    left = nft.field("tcp", "dport")
    assert nft.equal(left, (1, 2))["match"]["right"] == {"set": [1, 2]}
    assert nft.equal(left, "@ports")["match"]["right"] == "@ports"
    assert nft.differ(left, 1)["match"] == {"op": "!=", "left": left, "right": 1}
    assert nft.equal(left, right=True)["match"]["right"] is True


def test_headers_concatenations_and_masks() -> None:
    assert nft.field("ip", "saddr") == {"payload": {"protocol": "ip", "field": "saddr"}}
    assert nft.concat(nft.IIFNAME, nft.SKUID) == {"concat": [nft.IIFNAME, nft.SKUID]}
    assert nft.masked(nft.IIFNAME, "1") == {"&": [nft.IIFNAME, "1"]}


def test_verdicts_and_statements() -> None:
    assert nft.goto("a") == {"goto": {"target": "a"}}
    assert nft.count("why") == {"counter": "why"}
    flows = (nft.established_flow(), nft.related_flow())
    assert [flow["match"]["right"] for flow in flows] == ["established", "related"]
    assert nft.first_packet()["match"]["left"] == nft.masked(nft.CT_STATUS, "confirmed")


def test_connections_are_counted_by_a_meter() -> None:
    source = nft.field("ip", "saddr")
    rule = nft.more_connections_than(5, per=source, meter="connections", keys_max=9)
    assert rule["meter"]["key"] == source
    assert rule["meter"]["stmt"] == {"ct count": {"val": 5, "inv": True}}
    assert (rule["meter"]["name"], rule["meter"]["size"]) == ("connections", 9)
    often = nft.more_often_than(2, burst=3, per=source, meter="opened", keys_max=9)["meter"]
    assert often["stmt"]["limit"] == {"rate": 2, "per": "second", "burst": 3, "inv": True}
    assert (often["key"], often["name"], often["size"]) == (source, "opened", 9)


def test_networks_and_commands() -> None:
    assert nft.network(IPv4Network("10.0.0.0/8")) == {"prefix": {"addr": "10.0.0.0", "len": 8}}
    assert nft.add("table", {"name": "t"}) == {"add": {"table": {"name": "t"}}}
    assert nft.delete("table", {"name": "t"}) == {"delete": {"table": {"name": "t"}}}
