"""The process that ends desktops when their node cannot keep them."""

import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.daemon import watchdog
from qvdnode.daemon.watchdog import Order, decode, encode, main, overdue, watch

LIMIT_S = 30


class Host:
    """A clock that each pause moves on, and control groups."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.now_s = 100.0
        self.killed: list[tuple[float, str]] = []
        self.then: list[bytes | None] = []
        """What the node writes, pause by pause; None removes the file."""

    def children(self, group: str) -> set[str]:
        assert group == "guests"
        return {"a", "b", "monitor-a"}

    def kill(self, group: str) -> int:
        self.killed.append((self.now_s, group))
        return 1

    def pause(self, seconds: float) -> None:
        self.now_s += seconds
        content = self.then.pop(0) if self.then else None
        if content is None:
            self.file.unlink()
        else:
            self.file.write_bytes(content)

    def watch(self, *then: bytes) -> list[tuple[float, str]]:
        self.then = list(then)
        watch(self.file, self, lambda: self.now_s, self.pause)
        return self.killed


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "watchdog.json")


def test_a_node_that_goes_on_writing_keeps_its_desktops(host: Host) -> None:
    host.file.write_bytes(encode(Order(101.0, "guests", ())))
    assert host.watch(*(encode(Order(101.0 + n, "guests", ())) for n in range(5))) == []


def test_what_is_overdue_is_killed(host: Host) -> None:
    kept = encode(Order(101.0, "guests", ()))
    host.file.write_bytes(kept)
    assert host.watch(kept, kept) == [(101.0, "guests/a"), (101.0, "guests/b")]


def test_a_file_that_cannot_be_read_leaves_the_last_order(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.file.write_bytes(encode(Order(100.5, "guests", ("guests/b",))))
    assert host.watch(b"{") == [(100.5, "guests/a")]
    assert "watchdog.json" in capsys.readouterr().err


def test_without_a_file_there_is_nothing_to_watch(host: Host) -> None:
    assert host.watch() == []


@given(st.floats(allow_nan=False), st.text(min_size=1), st.lists(st.text(max_size=9)))
def test_an_order_comes_back_as_it_was(until_s: float, above: str, keep: list[str]) -> None:
    order = Order(until_s, above, tuple(keep))
    assert decode(encode(order)) == order
    assert overdue(order, until_s)


@given(
    st.binary()
    | st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_rubbish_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        decode(content)


def test_there_is_one_watchdog_for_a_file(tmp_path: Path) -> None:
    """A process of its own; it ends with the file, and a second one at once."""
    file = tmp_path / "watchdog.json"
    file.write_bytes(encode(Order(watchdog.boot_s() + 3600, "no-such-group", ())))
    command = [sys.executable, "-m", "qvdnode.daemon.watchdog", str(file)]
    with watchdog.lock_file(file).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert subprocess.run(command, timeout=LIMIT_S, check=False).returncode == 0
    with subprocess.Popen(command) as process:
        assert process.poll() is None
        file.unlink()
        assert process.wait(LIMIT_S) == 0
    assert main(file) == 0
