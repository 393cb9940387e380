"""The switch is shared: the last instance that leaves puts it back as the first found it."""

from pathlib import Path

import pytest

from qvdnode.host.forwarding import BEFORE, Forwarding, enabled
from qvdnode.model.errors import HostFailed


@pytest.fixture(params=["0", "1"])
def switch(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file in place of the kernel's switch, off or on before we come."""
    path = tmp_path / "ip_forward"
    path.write_text(f"{request.param}\n")
    return path


def test_one_instance_switches_on_and_puts_back(switch: Path, tmp_path: Path) -> None:
    was_on = enabled(switch)
    forwarding = Forwarding(tmp_path / "run" / "records", switch)
    forwarding.hold("a")
    forwarding.hold("a")
    assert enabled(switch)
    assert forwarding.leave("a") == (not was_on)
    assert enabled(switch) == was_on
    assert not forwarding.leave("a")
    assert enabled(switch) == was_on


def test_only_the_last_of_several_puts_back(switch: Path, tmp_path: Path) -> None:
    was_on = enabled(switch)
    for prefix in ("", "demo"):
        Forwarding(tmp_path, switch).hold(prefix)
    assert not Forwarding(tmp_path, switch).leave("")
    assert enabled(switch)
    Forwarding(tmp_path, switch).leave("demo")
    assert enabled(switch) == was_on


def test_a_killed_instance_that_comes_back_still_knows_how_it_was(
    switch: Path, tmp_path: Path
) -> None:
    was_on = enabled(switch)
    Forwarding(tmp_path, switch).hold("a")
    Forwarding(tmp_path, switch).hold("a")
    Forwarding(tmp_path, switch).leave("a")
    assert enabled(switch) == was_on


def test_somebody_elses_off_is_left_alone(tmp_path: Path) -> None:
    switch = tmp_path / "ip_forward"
    switch.write_text("0\n")
    forwarding = Forwarding(tmp_path / "records", switch)
    forwarding.hold("a")
    switch.write_text("0\n")
    assert not forwarding.leave("a")


def test_records_of_an_earlier_boot_do_not_count(switch: Path, tmp_path: Path) -> None:
    was_on = enabled(switch)
    forwarding = Forwarding(tmp_path, switch)
    forwarding.hold("gone")
    (tmp_path / BEFORE).write_text("another-boot 1\n")
    switch.write_text("1\n" if was_on else "0\n")
    forwarding.hold("a")
    forwarding.leave("a")
    assert enabled(switch) == was_on


def test_a_record_folder_that_cannot_be_is_told(switch: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostFailed, match="forwarding cannot be arranged"):
        Forwarding(tmp_path / "file" / "records", switch).hold("a")
