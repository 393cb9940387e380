"""The loops that these tests run on."""

from tests.integration.proxy.conftest import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
