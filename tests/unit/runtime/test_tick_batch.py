import asyncio

from qvdnode.runtime.tick_batch import TickBatch


async def test_work_waits_for_the_end_of_the_turn_and_keeps_its_order() -> None:
    done: list[int] = []
    end = TickBatch()
    end.call(lambda: done.append(1))
    end.call(lambda: done.append(2))
    assert done == []
    await asyncio.sleep(0)
    assert done == [1, 2]


async def test_work_begun_by_work_is_done_in_the_next_turn() -> None:
    done: list[int] = []
    end = TickBatch()
    end.call(lambda: end.call(lambda: done.append(1)))
    await asyncio.sleep(0)
    assert done == []
    await asyncio.sleep(0)
    assert done == [1]


async def test_a_mistake_keeps_nobody_else_from_the_end() -> None:
    said: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: said.append(told["exception"]))
    done: list[int] = []
    mistake = ZeroDivisionError()

    def fail() -> None:
        raise mistake

    end = TickBatch()
    for work in (lambda: done.append(1), fail, lambda: done.append(2)):
        end.call(work)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert done == [1, 2]
    assert said == [mistake]
