"""Signals unwind what a program awaits, once."""

import asyncio
import os
import signal

import pytest

from qvdnode.client.signals import run_to_signal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_unwinds_all_and_a_second_one_waits(number: signal.Signals) -> None:
    undone = list[str]()

    async def work() -> str:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), number)
            for _ in range(10):  # turns of the loop, in which the signal would be noticed
                await asyncio.sleep(0)
            undone.append("all")
        return "never"

    assert run_to_signal(work()) is None
    assert undone == ["all"]


def test_results_and_errors_come_through() -> None:
    async def result() -> int:
        return 7

    async def failure() -> int:
        raise ValueError("broken")

    assert run_to_signal(result()) == 7
    with pytest.raises(ValueError, match="broken"):
        run_to_signal(failure())
