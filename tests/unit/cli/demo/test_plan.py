"""Names of demos: stable, short, apart from each other; and the node's configuration."""

import re
import tomllib
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from qvdnode.cli.demo.plan import DemoPlan, config_text
from qvdnode.daemon.settings import PREFIX


def plan(state_dir: str = "/var/lib/qvdnode-demo") -> DemoPlan:
    return DemoPlan(Path(state_dir), "demo", None, 0, 8444, None, once=False)


@given(st.text(st.characters(exclude_characters="\0/"), min_size=1, max_size=30))
def test_any_folder_gives_a_prefix_the_node_takes(name: str) -> None:
    prefix = plan(f"/x{name}").prefix
    assert PREFIX.fullmatch(prefix)
    assert re.fullmatch("d[0-9a-f]{3}", prefix)


def test_each_driver_has_a_flavour_and_a_desktop_of_its_own() -> None:
    assert plan().desk == "xfce"
    assert replace(plan(), driver="kvm").desk == "xfce-kvm"


def test_a_driver_that_needs_a_kernel_has_an_image_of_its_own_and_patience() -> None:
    assert (plan().image, plan().additions) == ("xfce", ())
    machine = replace(plan(), driver="kvm")
    assert (machine.image, machine.additions) == ("xfce-kernel", ("kernel",))
    read = tomllib.loads(config_text(machine, IPv4Network("10.9.8.0/24"), 0x8000_0000))
    assert read["vm"]["boot_limit_s"] > 60


def test_the_hint_names_the_folder_that_make_purge_would_not_remove() -> None:
    assert plan().how_to_remove("/v/bin").startswith("make purge removes the folder")
    other = plan("/srv/my demo").how_to_remove("/v/bin")
    assert "/v/bin/qvdnode purge --state-dir '/srv/my demo'" in other


def test_all_that_stays_is_named() -> None:
    told = plan().what_stays("/v/bin", "dbuser")
    for thing in ("/var/lib/qvdnode-demo", ".venv", "packages", "account dbuser", "make purge"):
        assert thing in told


def test_only_the_node_of_this_demo_is_its_node() -> None:
    words = ("python", *plan("/srv/demo").node_words)
    line = b"".join(word.encode() + b"\0" for word in words)
    assert plan("/srv/demo").is_node(line)
    assert not plan("/srv").is_node(line)
    assert not plan("/srv/demo").is_node(b"vim\0/srv/qvdnode/README.md\0")


def test_folders_have_names_of_their_own_each_time() -> None:
    assert plan().prefix == plan().prefix
    assert plan("/a").prefix != plan("/b").prefix
    assert plan("/a").seed != plan("/b").seed


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\x7f"), max_size=20))
def test_the_configuration_is_toml_for_any_folder(name: str) -> None:
    text = config_text(plan(f"/x{name}"), IPv4Network("10.9.8.0/24"), 0x8000_0000)
    read = tomllib.loads(text)
    assert read["node"]["state_dir"] == str(Path(f"/x{name}"))
    assert read["node"]["stop_guests"] is True
    assert read["clients"] == {"address": "127.0.0.1", "port": 0}
    assert read["admin"] == {"address": "127.0.0.1", "port": 8444}
    assert read["vm"] == {"id_base": 0x8000_0000, "id_slots": 1024}
    assert read["network"]["subnet"] == "10.9.8.0/24"


def test_no_listener_has_the_address_and_port_of_another_node() -> None:
    read = tomllib.loads(config_text(plan(), IPv4Network("10.9.8.0/24"), 0x8000_0000))
    chosen = {"clients": 0, "admin": 8444, "peer": 0, "gossip": 0}
    for listener, port in chosen.items():
        assert read[listener] == {"address": "127.0.0.1", "port": port}
