"""A bench that is told to end still undoes what it made."""

import signal
import subprocess
import sys

BENCH = """
import asyncio
from bench.running import run

async def bench():
    try:
        print("made", flush=True)
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        print("undone", flush=True)

run(bench())
"""


def test_sigterm_lets_a_bench_clean_up() -> None:
    with subprocess.Popen([sys.executable, "-c", BENCH], stdout=subprocess.PIPE) as bench:
        assert bench.stdout is not None
        assert bench.stdout.readline() == b"made\n"
        bench.send_signal(signal.SIGTERM)
        assert bench.stdout.read() == b"undone\n"
        assert bench.wait() != 0
