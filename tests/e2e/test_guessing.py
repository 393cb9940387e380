"""Attacks on logins, by a stranger on an address of their own, over TLS against a real node."""

import asyncio
import json
import re
import secrets
import statistics
import time
from typing import Final

import aiohttp
import pytest

from tests.e2e.conftest import MakeDesk
from tests.harness.farm import PASSWORD, Desk
from tests.harness.node import NodeProcess
from tests.harness.qvd import Answer, QvdConnection
from tests.harness.rest import Rest
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIST = "/qvd/list_of_vm"
FLOODERS: Final = 40
"""Connections that send a invalid token each time the last one was answered."""
WORTHLESS_MIN: Final = 500
"""Answers to invalid tokens before the right one comes."""
WAIT = re.compile(rb"Too many failed logins; try again in [1-9]\d* s\.\r\n")


async def lists(desk: Desk) -> int:
    """The status that the desk's owner gets, from the usual address."""
    async with desk.dial() as connection:
        return (await connection.ask(LIST)).status


async def timed(connection: QvdConnection, login: str, password: str) -> tuple[Answer, float]:
    """The answer to a guess, and how long it took."""
    connection.log_in_as(login, password)
    started = time.monotonic()
    answer = await connection.ask(LIST)
    return answer, time.monotonic() - started


async def test_a_password_is_not_guessed_while_its_owner_is_logged_in(
    node: NodeProcess, make: MakeDesk
) -> None:
    desk = await make()
    assert await lists(desk) == 200
    async with QvdConnection(node.client_port, "", "", source="127.0.0.21") as thief:
        answers = [await timed(thief, desk.login, f"guess {number}") for number in range(200)]
        right = [await timed(thief, desk.login, PASSWORD) for _ in range(20)]
    statuses = [answer.status for answer, _ in answers]
    assert statuses.count(401) <= 5 + 1  # a slow machine gives the attacker another one
    assert {answer.status for answer, _ in right} == {503}
    refused = [(answer, spent_s) for answer, spent_s in answers if answer.status == 503]
    for answer, _ in [*refused, *right]:
        assert WAIT.fullmatch(answer.body)
        assert int(answer.headers["Retry-After"]) >= 1
    wrong_s, right_s = (statistics.median(s for _, s in some) for some in (refused, right))
    assert abs(wrong_s - right_s) < max(0.002, wrong_s)
    assert await lists(desk) == 200


async def test_parallel_guesses_are_no_more(node: NodeProcess, make: MakeDesk) -> None:
    desk = await make()
    assert await lists(desk) == 200
    thieves = [
        QvdConnection(node.client_port, desk.login, f"guess {number}", source="127.0.0.22")
        for number in range(30)
    ]
    for thief in thieves:
        await thief.__aenter__()
    for thief in thieves:
        thief.streams[1].write(
            f"GET {LIST} HTTP/1.1\r\nAuthorization: {thief.authorization}\r\n\r\n".encode()
        )
    heads = [await thief.streams[0].readuntil(b"\r\n\r\n") for thief in thieves]
    for thief in thieves:
        thief.abort()
    assert sum(head.startswith(b"HTTP/1.1 401 ") for head in heads) == 5
    assert sum(head.startswith(b"HTTP/1.1 503 ") for head in heads) == 25


async def test_an_old_client_that_sends_each_mistake_five_times_has_four(
    node: NodeProcess, make: MakeDesk
) -> None:
    desk = await make()
    async with QvdConnection(node.client_port, "", "", source="127.0.0.23") as client:
        for mistake in ("one", "two", "three", "four"):
            for _ in range(5):
                assert (await timed(client, desk.login, mistake))[0].status == 401
        assert (await timed(client, desk.login, PASSWORD))[0].status == 200


async def guess(node: NodeProcess, login: str, password: str, source: str) -> Answer:
    """The answer to one guess on a connection of its own."""
    async with QvdConnection(node.client_port, login, password, source=source) as connection:
        return await connection.ask(LIST)


@pytest.mark.timeout(150)
async def test_one_password_on_60_accounts_gets_little_further_than_20(
    node: NodeProcess, make: MakeDesk
) -> None:
    source = "127.0.0.24"
    friend, stranger = await make(), await make()
    assert (await guess(node, friend.login, PASSWORD, source)).status == 200
    spray = [
        asyncio.create_task(guess(node, f"account{number}", "Summer2026", source))
        for number in range(60)
    ]
    await until(lambda: sum(task.done() for task in spray) >= 20, limit_s=30)
    started = time.monotonic()
    assert (await guess(node, friend.login, PASSWORD, source)).status == 200
    assert time.monotonic() - started < 1
    assert await lists(stranger) == 200
    answers = await asyncio.gather(*spray)
    statuses = [answer.status for answer in answers]
    assert 20 < statuses.count(401) <= 20 + 8  # after 1, 2, 4, 8 s and then each 10 s, for 45 s
    assert statuses.count(503) == 60 - statuses.count(401)
    assert all(WAIT.fullmatch(answer.body) for answer in answers if answer.status == 503)
    # once the others have given up, a stranger with the right password need not ask twice
    assert (await guess(node, stranger.login, PASSWORD, source)).status == 200
    events = [event for event in node.events("login_failed") if event["source"] == source]
    assert 0 < len(events) <= 30  # ten a minute
    assert {event["because"] for event in events} <= {"unknown account", "must wait"}


async def test_tokens_that_a_token_made_end_with_the_password(
    node: NodeProcess, make: MakeDesk, rest: Rest
) -> None:
    desk = await make()
    async with desk.dial() as connection:
        tokens = [await made(connection) for _ in range(21)]
    async with QvdConnection(node.client_port, "", "", source="127.0.0.25") as thief:
        thief.authorization = f"Bearer {tokens[0]}"
        assert (await thief.ask(LIST)).status == 401  # the oldest of 21
        chain = [tokens[-1]]
        for _ in range(3):
            thief.authorization = f"Bearer {chain[-1]}"
            chain.append(await made(thief))
        password = {"password": f"{PASSWORD}, changed"}
        await rest.call("PUT", f"/users/{desk.user_id}/password", password)
        for token in chain:
            thief.authorization = f"Bearer {token}"
            assert (await thief.ask(LIST)).status == 401


async def made(connection: QvdConnection) -> str:
    """A token, as clients send it."""
    answer = await connection.ask("/qvd/create_auth_token")
    assert answer.status == 200, answer
    return str(json.loads(answer.body)["auth_token"]).strip()


async def test_invalid_api_tokens_keep_no_right_one_out_behind_the_same_address(
    node: NodeProcess, rest: Rest
) -> None:
    assert node.said is not None
    name = f"robot-{secrets.token_hex(4)}"
    unseen = (await rest.post("/tokens", {"name": name}))["token"]
    url = f"https://127.0.0.1:{node.said.admin_port}/api/v1/users"
    connector = aiohttp.TCPConnector(ssl=False, local_addr=("127.0.0.26", 0), limit=0)
    statuses: list[int] = []

    async with aiohttp.ClientSession(connector=connector) as http:

        async def call(token: str) -> int:
            async with http.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
                await answer.read()
                return answer.status

        async def flood() -> None:
            while True:
                statuses.append(await call(secrets.token_urlsafe()))

        flooders = [asyncio.create_task(flood()) for _ in range(FLOODERS)]
        try:
            await until(lambda: len(statuses) > WORTHLESS_MIN, limit_s=30)
            started = time.monotonic()
            status = await call(unseen)
            spent_s = time.monotonic() - started
            invalid = set(statuses)
        finally:
            for flooder in flooders:
                flooder.cancel()
            await asyncio.gather(*flooders, return_exceptions=True)
    assert (status, invalid) == (200, {401})
    assert spent_s < 2
