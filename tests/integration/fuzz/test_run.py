"""The fuzzer itself, for a second: what nobody runs breaks unnoticed."""

import sys

from fuzz.run import CORPUS
from qvdnode.host import process


async def test_a_target_is_fuzzed_and_what_is_learned_stays() -> None:
    done = await process.run(
        [sys.executable, "-m", "fuzz.run", "--seconds", "1", "display_pids"], check=False
    )
    assert done.returncode == 0, done.stderr_tail()
    assert b"display_pids       ok  Done" in done.stdout
    assert (CORPUS / "display_pids" / "seed-0").read_bytes() == b"4711\n"
    assert len(list((CORPUS / "display_pids").iterdir())) > 1
