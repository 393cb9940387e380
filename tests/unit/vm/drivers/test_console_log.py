from pathlib import Path

import pytest

from qvdnode.vm.drivers import console_log
from qvdnode.vm.drivers.console_log import ConsoleLog

KILL = b"[9.1] Out of memory: Killed process 77 (xterm) total-vm:1kB\r\n"


def test_each_kill_is_counted_once(tmp_path: Path) -> None:
    file = tmp_path / "a.console"
    log = ConsoleLog(file)
    assert log.killed() == 0
    file.write_bytes(b"hello\n" + KILL[:30])
    assert log.killed() == 0
    file.write_bytes(b"hello\n" + KILL)
    assert log.killed() == 1
    assert log.killed() == 1
    with file.open("ab") as more:
        more.write(KILL)
    assert log.killed() == 2


def test_a_long_log_is_cut_off_and_read_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_log, "TRIMMED_AT", 100)
    file = tmp_path / "a.console"
    log = ConsoleLog(file)
    file.write_bytes(KILL * 2)
    assert log.killed() == 2
    assert file.read_bytes() == b""
    file.write_bytes(KILL)
    assert log.killed() == 3
