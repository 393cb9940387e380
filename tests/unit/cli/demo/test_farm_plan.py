"""A demo of several nodes: names, addresses, and the configuration of each."""

import tomllib
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from qvdnode.cli.demo.farm_plan import (
    FARM_NAME,
    NODES_MAX,
    FarmPlan,
    Networks,
    farm_of,
    hosts_text,
    member_config,
    node_name,
)
from qvdnode.cli.demo.plan import DemoPlan
from qvdnode.daemon.settings import PREFIX

BASE = DemoPlan(Path("/srv/demo"), "demo", None, 0, 0, None, once=False)
NETWORKS = Networks(IPv4Network("10.9.8.0/24"), IPv4Network("10.7.6.0/24"))
LINK_NAME_MAX = 15


def test_each_node_has_names_and_a_folder_of_its_own() -> None:
    members = farm_of(BASE).members
    assert [node_name(member) for member in members] == [
        f"node{number}" for number in range(1, NODES_MAX + 1)
    ]
    for kind in ("prefix", "state_dir", "config_file", "seed"):
        assert len({getattr(member, kind) for member in members} | {getattr(BASE, kind)}) == (
            NODES_MAX + 1
        )
    assert all(PREFIX.fullmatch(member.prefix) for member in members)
    assert len(farm_of(BASE).link) <= LINK_NAME_MAX


def test_what_nodes_share_is_in_none_of_their_folders() -> None:
    farm = FarmPlan(BASE, 2)
    shared = {farm.homes, farm.database, farm.tls, farm.hosts_file}
    assert len(shared) == 4
    for place in shared:
        assert Path("/srv/demo") in place.parents
        assert not any(member.state_dir in place.parents for member in farm.members)


def test_only_the_first_node_is_told_the_database() -> None:
    farm = FarmPlan(BASE, 2)
    first, second = (
        tomllib.loads(member_config(farm, member, NETWORKS, 0x8000_0000, "postgresql:///x"))
        for member in farm.members
    )
    assert first["database"] == {"dsn": "postgresql:///x"}
    assert "database" not in second
    assert (first["node"]["name"], second["node"]["name"]) == ("node1", "node2")
    assert [read["clients"]["address"] for read in (first, second)] == ["10.9.8.1", "10.9.8.2"]
    for read in (first, second):
        assert read["image"] == {"homes_shared": True}
        assert read["tls"]["certificate"] == "/srv/demo/nodes/tls/node.crt"
        assert read["network"] == {"subnet": "10.7.6.0/24", "uplink": "none"}
        assert read["node"]["stop_guests"]


def test_only_the_keeper_of_this_demos_database_is_its_own() -> None:
    words = ("python", *farm_of(BASE).keeper_words)
    line = b"".join(word.encode() + b"\0" for word in words)
    assert farm_of(BASE).is_keeper(line)
    assert not farm_of(DemoPlan(Path("/srv"), "demo", None, 0, 0, None, once=False)).is_keeper(line)


def test_the_farms_name_leads_to_all_nodes() -> None:
    text = hosts_text("127.0.0.1 localhost\n", [IPv4Address("10.9.8.2"), IPv4Address("10.9.8.1")])
    assert text == f"127.0.0.1 localhost\n10.9.8.2 {FARM_NAME}\n10.9.8.1 {FARM_NAME}\n"
