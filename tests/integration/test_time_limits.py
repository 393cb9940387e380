"""A test that is ended by its time limit takes nothing else with it."""

import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = """
import logging, threading

def test_ended_while_it_forks():
    logging._lock.acquire()
    raise TimeoutError

def test_that_logs_in_a_thread():
    thread = threading.Thread(target=logging.getLogger("a").setLevel, args=[20], daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
"""


@pytest.mark.timeout(60)
def test_a_lock_that_it_held_is_free_for_the_next(tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(SAMPLE)
    command = [
        sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:randomly",
        "-c", "/dev/null", f"--rootdir={tmp_path}", str(tmp_path),
    ]  # fmt: skip
    said = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    assert "1 failed, 1 passed" in said, said
