"""The loops that these tests run on."""

import asyncio
from collections.abc import Callable, Mapping

import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """uvloop, as the node, and asyncio's own, whose transports differ in their details."""
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
