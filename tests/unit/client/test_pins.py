"""Pins are kept per host, for their owner only, and a change is refused before anything is sent."""

from pathlib import Path

import pytest

from qvdnode.client.pins import PinStore, another_pin, default_path, first_pin
from qvdnode.client.target import Target
from qvdnode.model.errors import Forbidden, HostFailed

HOME = Path("/home/alice")
NODE = Target("node", 8443)
PIN = "SHA256:" + "a" * 64
OTHER = "SHA256:" + "b" * 64


def test_pins_are_kept_where_xdg_says() -> None:
    assert default_path({}, HOME) == HOME / ".local/share/qvdnode/known_servers"
    assert default_path({"XDG_DATA_HOME": "/d"}, HOME) == Path("/d/qvdnode/known_servers")
    assert default_path({"XDG_DATA_HOME": "relative"}, HOME).is_relative_to(HOME)


def test_a_pin_is_of_one_host_and_port(tmp_path: Path) -> None:
    store = PinStore(tmp_path / "deep" / "pins")
    assert store.get(NODE) is None
    store.put(NODE, PIN)
    store.put(Target("node", 9), OTHER)
    assert PinStore(store.path).get(NODE) == PIN
    assert store.get(Target("node", 9)) == OTHER
    assert store.get(Target("other", 8443)) is None
    store.put(NODE, OTHER)
    assert store.get(NODE) == OTHER


def test_nobody_else_reads_them(tmp_path: Path) -> None:
    store = PinStore(tmp_path / "deep" / "pins")
    store.put(NODE, PIN)
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert store.path.parent.stat().st_mode & 0o777 == 0o700


def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "pins"
    path.write_text(f"one\n\nnode:8443 {PIN}\na b c\n")
    assert PinStore(path).get(NODE) == PIN


def test_a_change_is_refused_with_both_fingerprints() -> None:
    assert f"Expected {PIN}, seen {OTHER}" in str(another_pin(NODE, OTHER, PIN))


def test_a_person_decides_once(tmp_path: Path) -> None:
    store, asked = PinStore(tmp_path / "pins"), list[str]()

    def no(question: str) -> bool:
        asked.append(question)
        return False

    with pytest.raises(Forbidden):
        first_pin(store, NODE, PIN, no)
    assert PIN in asked[0]
    assert store.get(NODE) is None
    assert first_pin(store, NODE, PIN, lambda _question: True) == PIN
    assert store.get(NODE) == PIN


def test_a_file_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"node:8443 \xff\n")
    store = PinStore(tmp_path / "file")
    with pytest.raises(HostFailed, match="is not text: move it away"):
        store.get(NODE)
    below = PinStore(tmp_path / "file" / "pins")
    with pytest.raises(HostFailed, match="cannot be read: Not a directory"):
        below.get(NODE)


def test_a_pin_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    (tmp_path / "nowhere").symlink_to("/proc/none")
    with pytest.raises(HostFailed, match=r"cannot be kept in .*XDG_DATA_HOME"):
        PinStore(tmp_path / "nowhere" / "pins").put(NODE, PIN)
