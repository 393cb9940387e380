"""Core dumps, of a process that forbade them and of its children."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import os, signal, sys
from qvdnode.host import core_dumps
core_dumps.forbid()
print(open("/proc/self/limits").read())
sys.stdout.flush()
os.chdir(sys.argv[1])
os.execvp("sh", ["sh", "-c", "kill -SEGV $$"])
"""
READER = """
import os, sys
from qvdnode.host import core_dumps
if sys.argv[1] == "forbid":
    core_dumps.forbid()
print("ready", flush=True)
sys.stdin.read()
"""


def test_neither_a_process_nor_its_children_leave_a_core(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)],
        capture_output=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),
    )
    assert done.returncode == -signal.SIGSEGV
    line = next(line for line in done.stdout.decode().splitlines() if "core file" in line)
    assert line.split()[4:6] == ["1", "1"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("mode", "readable"), [("leave", True), ("forbid", False)])
def test_its_memory_is_closed_to_root_without_the_right_to_trace(mode: str, readable: bool) -> None:
    # the same user, and as many rights, but for the one
    fewer = ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", "--")
    child = subprocess.Popen(
        [*fewer, sys.executable, "-c", READER, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdout.readline()
        done = subprocess.run(
            [*fewer, "head", "-c0", f"/proc/{child.pid}/mem"], capture_output=True, check=False
        )
        assert (done.returncode == 0) == readable, done.stderr
    finally:
        child.stdin.close()
        child.wait()
        child.stdout.close()
