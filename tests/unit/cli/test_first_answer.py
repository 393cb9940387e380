"""Several nodes are asked at once, the earlier ones a little sooner."""

import asyncio
from typing import TYPE_CHECKING

from qvdnode.cli.first_answer import first_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Node:
    """A node that answers, refuses or is silent."""

    def __init__(self, *, silent: bool = False, refuses: bool = False) -> None:
        self.asked = 0
        self.cancelled = False
        self._silent = silent
        self._refuses = refuses

    async def __call__(self) -> str:
        self.asked += 1
        if self._refuses:
            raise OSError("refused")
        if self._silent:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        return "answer"


async def first(*nodes: Node) -> int | None:
    questions: list[Callable[[], Awaitable[object]]] = list(nodes)
    return await first_answer(questions, head_start_s=0.01)


async def test_only_the_first_is_asked_when_it_answers() -> None:
    nodes = Node(), Node()
    assert await first(*nodes) == 0
    assert [node.asked for node in nodes] == [1, 0]


async def test_a_silent_node_does_not_delay_the_next_and_is_left() -> None:
    nodes = Node(silent=True), Node(silent=True), Node()
    assert await first(*nodes) == 2
    assert [node.cancelled for node in nodes] == [True, True, False]


async def test_a_node_that_refuses_makes_room_at_once() -> None:
    nodes = Node(refuses=True), Node(refuses=True), Node()
    questions: list[Callable[[], Awaitable[object]]] = list(nodes)
    assert await first_answer(questions, head_start_s=3600) == 2


async def test_nobody_answers() -> None:
    assert await first(Node(refuses=True), Node(refuses=True)) is None
    assert await first() is None


async def test_whoever_gives_up_leaves_nothing_behind() -> None:
    node = Node(silent=True)
    task = asyncio.create_task(first(node))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert node.cancelled
