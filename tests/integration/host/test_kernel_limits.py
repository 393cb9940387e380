"""The limits are shared: the last instance that leaves puts them back as the first found them."""

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from qvdnode.host.kernel_limits import FAILING, WANTED
from qvdnode.host.shared_sysctls import BEFORE, SharedSysctls
from qvdnode.model.errors import HostFailed

BRIDGE = "lo"
"""A link that every host has."""
TERMINALS = "kernel/pty/max"
PIDS = "kernel/pid_max"


@pytest.fixture
def sysctls(tmp_path: Path) -> Path:
    """Files in place of the kernel's; it lacks all others."""
    folder = tmp_path / "sys"
    for name, value in ((TERMINALS, 4096), (PIDS, 5_000_000)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{value}\n")
    return folder


def value(sysctls: Path, name: str) -> int:
    return int((sysctls / name).read_text())


def limits(sysctls: Path, *links: str) -> SharedSysctls:
    there = (BRIDGE, *links).__contains__
    return SharedSysctls(WANTED, sysctls.parent / "records", FAILING, sysctls, there)


def test_what_is_low_is_raised_and_put_back(sysctls: Path) -> None:
    assert limits(sysctls).low() == {TERMINALS: 4096}
    assert limits(sysctls).settable()
    assert limits(sysctls).hold("a", BRIDGE) == {TERMINALS: 4096}
    assert limits(sysctls).hold("a", BRIDGE) == {}
    assert value(sysctls, TERMINALS) == WANTED[TERMINALS]
    assert value(sysctls, PIDS) == 5_000_000
    assert limits(sysctls).release("a") == {TERMINALS: 4096}
    assert limits(sysctls).release("a") == {}
    assert value(sysctls, TERMINALS) == 4096


def test_only_the_last_of_several_puts_back(sysctls: Path) -> None:
    for prefix in ("", "demo"):
        limits(sysctls).hold(prefix, BRIDGE)
    assert limits(sysctls).release("") == {}
    assert value(sysctls, TERMINALS) == WANTED[TERMINALS]
    limits(sysctls).release("demo")
    assert value(sysctls, TERMINALS) == 4096


def test_an_instance_whose_bridge_is_gone_holds_nothing(sysctls: Path) -> None:
    limits(sysctls, "gone0").hold("killed", "gone0")
    limits(sysctls).hold("a", BRIDGE)
    limits(sysctls).release("a")
    assert value(sysctls, TERMINALS) == 4096


def test_a_bridge_of_another_network_namespace_is_not_taken_for_gone(sysctls: Path) -> None:
    limits(sysctls).hold("here", BRIDGE)
    there = {"qvdbr9"}.__contains__
    records = sysctls.parent / "records"
    elsewhere = SharedSysctls(WANTED, records, FAILING, sysctls, there, namespace=lambda: "7")
    assert elsewhere.hold("there", "qvdbr9") == {}
    assert elsewhere.release("there") == {}
    assert limits(sysctls).release("here") == {TERMINALS: 4096}


def test_what_somebody_else_has_set_meanwhile_stays(sysctls: Path) -> None:
    limits(sysctls).hold("a", BRIDGE)
    (sysctls / TERMINALS).write_text("9000\n")
    assert limits(sysctls).release("a") == {}
    assert value(sysctls, TERMINALS) == 9000


@pytest.mark.parametrize("spoil", ["{", json.dumps({"boot": "another", "limits": {TERMINALS: 7}})])
def test_a_record_of_another_boot_or_a_torn_one_is_forgotten(sysctls: Path, spoil: str) -> None:
    limits(sysctls).hold("a", BRIDGE)
    (sysctls / TERMINALS).write_text("4096\n")
    (sysctls.parent / "records" / BEFORE).write_text(spoil)
    limits(sysctls).hold("b", BRIDGE)
    assert limits(sysctls).release("b") == {TERMINALS: 4096}


def test_what_cannot_be_set_is_told_and_keeps_nothing_else_low(
    sysctls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sysctls / PIDS).write_text("32768\n")
    writing = Path.write_text

    def refusing(path: Path, text: str, **how: Any) -> int:
        if path == sysctls / PIDS and int(text) == WANTED[PIDS]:
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return writing(path, text, **how)

    monkeypatch.setattr(Path, "write_text", refusing)
    with pytest.raises(HostFailed, match=rf"cannot be raised.*{PIDS}"):
        limits(sysctls).hold("a", BRIDGE)
    assert value(sysctls, TERMINALS) == WANTED[TERMINALS]
