"""Seats of clients of another node, when that node comes and goes."""

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

from qvdnode.model.seat import (
    Evicted,
)
from tests.integration.peer.two_nodes import (
    ENTRY,
    OWNER,
    QUICK,
    Farm,
    a_farm,
    passes,
    viewer,
)
from tests.waiting import until


async def test_seats_last_while_their_node_comes_back(farm: Farm) -> None:
    async with farm.owner() as owner:
        kept, left = await farm.attach(), await farm.attach()
        await passes(QUICK.silence_limit_s + 0.1)
        await farm.break_link()
        farm.host.detach(left)  # cannot be said now
        await until(lambda: farm.fleet.detached == [left])
        await passes(2 * QUICK.grace_s)
        assert len(owner.seats) == 1
        farm.host.detach(kept)
        await until(lambda: farm.fleet.detached == [left, kept])
        assert len(owner.seats) == 0


async def test_the_seats_of_a_node_that_stays_away_are_freed(farm: Farm) -> None:
    async with farm.owner() as owner:
        seat = await farm.attach()
        farm.links.follow([])
        await until(lambda: farm.fleet.detached == [seat])
        assert len(owner.seats) == 0


async def test_the_seats_of_an_earlier_process_are_freed_at_once(
    tmp_path: Path,
) -> None:
    async with a_farm(tmp_path, replace(QUICK, grace_s=60)) as farm, farm.owner():
        seat = await farm.attach()
        farm.links.follow([])
        farm.links.follow([OWNER])
        await until(lambda: farm.fleet.detached == [seat])


async def test_a_cancelled_attach_gives_its_seat_back(farm: Farm) -> None:
    async with farm.owner() as owner:
        for turns in range(0, 400, 7):
            waiting = asyncio.ensure_future(farm.attach())
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                farm.host.detach(await waiting)
            await until(lambda: len(owner.seats) == 0)
        assert len(farm.fleet.detached) == farm.fleet.tickets


async def test_an_evicted_client_of_a_node_that_is_away_has_no_seat(farm: Farm) -> None:
    async with farm.owner() as owner:
        seat = await farm.attach()
        farm.links.follow([])
        await until(lambda: not owner.service._links)
        owner.service.tell(ENTRY, Evicted(viewer(), "a newer connection took over"))
        await until(lambda: farm.fleet.detached == [seat])
