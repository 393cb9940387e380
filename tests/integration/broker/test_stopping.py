"""What clients see when the node stops: whoever has a desktop is to come back for it."""

from pathlib import Path

import pytest

from qvdnode.broker.endpoint import STOPPING
from tests.integration.broker.clients import (
    CONNECT,
    LIMIT_S,
    Client,
    Place,
    got_close_notify,
    patient,
    place,
    request,
)
from tests.waiting import until


async def watching(here: Place) -> Client:
    """A client that sees a desktop."""
    client = await here.client()
    await client.upgraded()
    _, guest = await here.display.next()
    guest.write(b"picture")
    assert await client.reader.readexactly(7) == b"picture"
    return client


@pytest.mark.parametrize("guests_stay", [True, False])
async def test_streams_are_cut_where_the_guests_run_on(
    tmp_path: Path, *, guests_stay: bool
) -> None:
    async with place(tmp_path, patient(), guests_stay=guests_stay) as here:
        client = await watching(here)
        here.serving.cancel()
        assert await got_close_notify(client) is not guests_stay
        await until(here.serving.done, limit_s=LIMIT_S)
        ended = here.desktops.ended_tickets
        assert [(one.reason, one.bytes_out) for one in ended] == [(STOPPING, 7)]


async def test_a_stream_that_has_not_greeted_is_cut_too(tmp_path: Path) -> None:
    async with place(tmp_path, patient()) as here:
        client = await here.client()
        assert (await client.answer(CONNECT))[0] == 101
        here.serving.cancel()
        assert not await got_close_notify(client)
        await until(here.serving.done, limit_s=LIMIT_S)
        assert [one.reason for one in here.desktops.ended_tickets] == [STOPPING]
        assert here.display.dialled == 0


async def test_a_client_that_only_lists_gets_close_notify(tmp_path: Path) -> None:
    async with place(tmp_path, patient()) as here:
        client = await here.client()
        assert (await client.answer(request("list_of_vm?")))[0] == 200
        here.serving.cancel()
        assert await got_close_notify(client)


async def test_a_host_that_does_not_answer_delays_nothing(tmp_path: Path) -> None:
    async with place(tmp_path, patient()) as here:
        client = await here.client()
        assert (await client.answer(request("list_of_vm?")))[0] == 200
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # TLS transports can
        here.serving.cancel()
        await until(here.serving.done, limit_s=patient().farewell_limit_s / 2)
