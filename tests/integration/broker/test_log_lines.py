"""How many lines clients of every kind can cause in the log."""

import asyncio
import logging
from pathlib import Path

import pytest

from qvdnode.broker.settings import BrokerSettings
from qvdnode.telemetry.repeated_events import WINDOW_S
from tests.integration.broker.clients import place, request
from tests.waiting import until


async def test_unauthenticated_requests_share_a_few_log_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings = BrokerSettings(unauthenticated_per_source=10, unauthenticated_total=20)
    begun_s = asyncio.get_running_loop().time()
    async with place(tmp_path, settings) as here:
        for _ in range(15):
            client = await here.client()
            assert (await client.answer(b"no head\r\n\r\n"))[0] == 400
            noise = await here.half_open()
            noise.write(b"no TLS at all, which is at least as long as a record")
        for _ in range(50):
            await here.half_open()
        await until(lambda: "connection_dropped" in caplog.messages)
    lines_max = 2 + (asyncio.get_running_loop().time() - begun_s) / WINDOW_S
    for event in ("head_refused", "tls_failed", "connection_dropped"):
        assert 1 <= caplog.messages.count(event) <= lines_max, event


async def test_refused_requests_of_a_user_make_a_few_lines_however_many_they_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    begun_s = asyncio.get_running_loop().time()
    async with place(tmp_path, BrokerSettings()) as here:
        client = await here.client()
        for _ in range(100):
            assert (await client.answer(request("connect_to_vm?")))[0] == 422
    lines = [vars(one) for one in caplog.records if one.message == "user_request_refused"]
    assert 1 <= len(lines) <= 2 + (asyncio.get_running_loop().time() - begun_s) / WINDOW_S
    assert "invalid" in lines[0]["because"]
    assert "request_refused" not in caplog.messages
