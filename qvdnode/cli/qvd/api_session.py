"""Runs one command against the node the user is logged in to."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

from qvdnode.cli import saved_login
from qvdnode.cli.api_client import ApiClient

T = TypeVar("T")


def with_api(work: Callable[[ApiClient], Awaitable[T]]) -> T:
    """The result of `work` on the node's API; raises the API's errors, and Unauthenticated."""
    login = saved_login.load(saved_login.config_folder(os.environ))

    async def connected() -> T:
        async with ApiClient(login) as api:
            return await work(api)

    return asyncio.run(connected())
