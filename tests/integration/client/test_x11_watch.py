"""New desktops' windows are told once each, whatever order things happen in."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from qvdnode.client.x11_watch import LOOK_AGAIN_S, WindowWatcher
from qvdnode.model.errors import TimedOut
from qvdnode.runtime.clock import SystemClock
from tests.harness.screen import bare_xvfb
from tests.integration.client.x_client import XClient

SOON_S = 5.0
A_WHILE_S = 4 * LOOK_AGAIN_S


@pytest.fixture
async def display() -> AsyncIterator[str]:
    async with bare_xvfb() as made:
        yield made


@pytest.fixture
async def program(display: str) -> AsyncIterator[XClient]:
    with XClient(display) as client:
        yield client


@pytest.fixture
async def watcher(display: str) -> AsyncIterator[WindowWatcher]:
    async with WindowWatcher(display, SystemClock()) as made:
        yield made


async def nothing_new(watcher: WindowWatcher) -> None:
    with pytest.raises(TimedOut):
        await watcher.wait_new(A_WHILE_S)


async def test_each_window_is_told_once_in_order(program: XClient, watcher: WindowWatcher) -> None:
    made = [program.desktop() for _ in range(3)]
    assert [await watcher.wait_new(SOON_S) for _ in made] == made
    await nothing_new(watcher)


async def test_windows_that_were_there_are_not_new(display: str, program: XClient) -> None:
    old = program.desktop()
    async with WindowWatcher(display, SystemClock()) as watcher:
        program.hide(old)
        program.show(old)
        await nothing_new(watcher)
        new = program.desktop()
        assert await watcher.wait_new(SOON_S) == new
        assert await watcher.windows() == (old, new)


async def test_a_class_that_comes_late_is_seen(program: XClient, watcher: WindowWatcher) -> None:
    window = program.create()
    program.show(window)
    waiting = asyncio.get_running_loop().create_task(watcher.wait_new(SOON_S))
    await asyncio.wait({waiting}, timeout=A_WHILE_S)
    assert not waiting.done()
    program.name(window)
    assert await waiting == window


async def test_a_window_mapped_twice_is_one(program: XClient, watcher: WindowWatcher) -> None:
    window = program.desktop()
    program.hide(window)
    program.show(window)
    assert await watcher.wait_new(SOON_S) == window
    await nothing_new(watcher)
    program.hide(window)
    program.show(window)
    await nothing_new(watcher)


async def test_a_number_used_again_is_another_window(
    program: XClient, watcher: WindowWatcher
) -> None:
    window = program.desktop()
    assert await watcher.wait_new(SOON_S) == window
    program.destroy(window)
    program.create(window)
    program.name(window)
    program.show(window)
    assert await watcher.wait_new(SOON_S) == window


async def test_other_programs_and_hidden_windows_are_no_desktops(
    program: XClient, watcher: WindowWatcher
) -> None:
    other = program.create()
    program.name(other, b"XTerm")
    program.show(other)
    program.name(program.create())
    await nothing_new(watcher)
    assert await watcher.count() == 0
