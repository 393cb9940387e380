"""What a program was started with does not reach its children."""

import subprocess
import sys

PROGRAM = """
import os, subprocess, sys
from qvdnode.host.descriptors import close_to_children
inherited = int(sys.argv[1])
if sys.argv[2] == "close":
    close_to_children()
os.execv("/bin/ls", ["ls", "/proc/self/fd"])
"""


def listed(how: str) -> list[str]:
    """The descriptors that a child of such a program sees."""
    with open("/dev/null") as given:  # noqa: PTH123 - a bare descriptor is wanted
        finished = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(given.fileno()), how],
            pass_fds=(given.fileno(),),
            capture_output=True,
            text=True,
            check=True,
        )
        return [word for word in finished.stdout.split() if word == str(given.fileno())]


def test_an_inherited_descriptor_would_reach_a_child_and_does_not() -> None:
    assert listed("leave") != []
    assert listed("close") == []
