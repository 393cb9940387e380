"""The switch is shared: the last instance that leaves puts it back as the first found it."""

import json
from pathlib import Path

import pytest

from qvdnode.host.forwarding import NAME, Forwarding, enabled
from qvdnode.host.shared_sysctls import BEFORE, link_exists, network_namespace
from qvdnode.model.errors import HostFailed

BRIDGE = "lo"
"""A link that every host has."""


@pytest.fixture(params=["0", "1"])
def switch(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file in place of the kernel's switch, off or on before we come."""
    return made(tmp_path, request.param)


def made(tmp_path: Path, value: str) -> Path:
    path = tmp_path / "sys" / NAME
    path.parent.mkdir(parents=True)
    path.write_text(f"{value}\n")
    return path


def test_one_instance_switches_on_and_puts_back(switch: Path, tmp_path: Path) -> None:
    was_on = enabled(switch)
    forwarding = Forwarding(tmp_path / "run" / "records", switch.parents[2])
    assert forwarding.hold("a", BRIDGE) == (not was_on)
    assert not forwarding.hold("a", BRIDGE)
    assert enabled(switch)
    assert forwarding.release("a") == (not was_on)
    assert enabled(switch) == was_on
    assert not forwarding.release("a")
    assert enabled(switch) == was_on


def test_only_the_last_of_several_puts_back(switch: Path, tmp_path: Path) -> None:
    was_on = enabled(switch)
    for prefix in ("", "demo"):
        Forwarding(tmp_path, switch.parents[2]).hold(prefix, BRIDGE)
    assert not Forwarding(tmp_path, switch.parents[2]).release("")
    assert enabled(switch)
    Forwarding(tmp_path, switch.parents[2]).release("demo")
    assert enabled(switch) == was_on


def test_a_killed_instance_that_comes_back_still_knows_how_it_was(
    switch: Path, tmp_path: Path
) -> None:
    was_on = enabled(switch)
    Forwarding(tmp_path, switch.parents[2]).hold("a", BRIDGE)
    Forwarding(tmp_path, switch.parents[2]).hold("a", BRIDGE)
    Forwarding(tmp_path, switch.parents[2]).release("a")
    assert enabled(switch) == was_on


def test_an_instance_whose_bridge_is_gone_holds_nothing(switch: Path, tmp_path: Path) -> None:
    was_on = enabled(switch)
    there = {"gone0", "here0"}
    forwarding = Forwarding(tmp_path, switch.parents[2], there.__contains__)
    forwarding.hold("gone", "gone0")
    forwarding.hold("here", "here0")
    there.remove("gone0")
    assert forwarding.release("here") == (not was_on)
    assert enabled(switch) == was_on


def test_how_it_was_is_remembered_past_an_instance_that_is_gone(
    switch: Path, tmp_path: Path
) -> None:
    was_on = enabled(switch)
    there = {"gone0"}
    forwarding = Forwarding(tmp_path, switch.parents[2], there.__contains__)
    forwarding.hold("gone", "gone0")
    there.symmetric_difference_update({"gone0", "new0"})
    forwarding.hold("new", "new0")
    assert sorted(path.name for path in tmp_path.glob("held-by-*")) == ["held-by-new"]
    forwarding.release("new")
    assert enabled(switch) == was_on


def test_links_are_looked_up_on_the_host() -> None:
    assert link_exists("lo")
    assert not link_exists("")
    assert not link_exists("nosuchlink0")


def test_somebody_elses_off_is_left_alone(tmp_path: Path) -> None:
    switch = made(tmp_path, "0")
    forwarding = Forwarding(tmp_path / "records", switch.parents[2])
    forwarding.hold("a", BRIDGE)
    switch.write_text("0\n")
    assert not forwarding.release("a")


def test_records_of_an_earlier_boot_do_not_count(switch: Path, tmp_path: Path) -> None:
    was_on = enabled(switch)
    forwarding = Forwarding(tmp_path, switch.parents[2])
    forwarding.hold("gone", BRIDGE)
    (tmp_path / f"{BEFORE}-{network_namespace()}").write_text(
        json.dumps({"boot": "another", "limits": {NAME: 1}})
    )
    switch.write_text("1\n" if was_on else "0\n")
    forwarding.hold("a", BRIDGE)
    forwarding.release("a")
    assert enabled(switch) == was_on


def test_a_record_folder_that_cannot_be_is_told(switch: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostFailed, match="forwarding cannot be arranged"):
        Forwarding(tmp_path / "file" / "records", switch.parents[2]).hold("a", BRIDGE)


def test_each_network_namespace_has_a_switch_of_its_own(tmp_path: Path) -> None:
    here, there = (made(tmp_path / name, "0") for name in ("here", "there"))
    ours = Forwarding(tmp_path, here.parents[2])
    theirs = Forwarding(
        tmp_path, there.parents[2], link_exists={"qvdbr9"}.__contains__, namespace=lambda: "7"
    )
    assert ours.hold("a", BRIDGE)
    assert theirs.hold("b", "qvdbr9")
    assert theirs.release("b")
    assert (enabled(here), enabled(there)) == (True, False)
    assert ours.release("a")
    assert not enabled(here)
