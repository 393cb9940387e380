"""Who and what the node refuses over the real wire, and that nothing is begun for it."""

import asyncio
import base64
import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.conftest import NUMBERS, MakeDesk, Screen
from tests.e2e.test_desktop import viewing
from tests.harness.farm import PASSWORD, make_desk, make_flavour, vm_view
from tests.harness.node import NodeProcess
from tests.harness.qvd import Answer
from tests.harness.rest import Rest
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

UPGRADE = ("Connection: Upgrade", "Upgrade: QVD/1.0")
HALF_OPEN = 200


def says(answer: Answer, status: int, *words: str) -> None:
    """The answer has that status, and a sentence with these words."""
    text = answer.body.decode()
    assert answer.status == status, (answer.status, text)
    assert text.strip().endswith((".", "!")), text
    for word in words:
        assert word in text.lower(), text


async def nothing_was_begun(rest: Rest, vm_id: int) -> None:
    """The VM was never started."""
    view = await vm_view(rest, vm_id)
    assert (view["state"], view["generation"]) == ("stopped", 0), view


async def set_blocked(rest: Rest, path: str, *, blocked: bool) -> None:
    """Block or unblock a tenant, a user or a VM."""
    await rest.call("PATCH", path, {"blocked": blocked})


async def test_five_wrong_passwords_at_once_are_told_and_the_right_one_still_works(
    make: MakeDesk,
) -> None:
    desk = await make()

    async def attempt() -> Answer:
        async with desk.dial("not it") as connection:
            return await connection.ask("/qvd/list_of_vm")

    for answer in await asyncio.gather(*(attempt() for _ in range(5))):
        says(answer, 401, "password")

    async def right() -> bool:
        async with desk.dial() as connection:
            return (await connection.ask("/qvd/list_of_vm")).status == 200

    await until(right, limit_s=30, what="the right password to be taken after a second's pause")


async def test_a_user_nobody_knows_hears_the_same_as_one_with_a_wrong_password(
    make: MakeDesk,
) -> None:
    desk = await make()
    async with desk.dial("not it") as known, replace(desk, login="nobody-here").dial() as unknown:
        answers = [await one.ask("/qvd/list_of_vm") for one in (known, unknown)]
    assert {(answer.status, answer.body) for answer in answers} == {(401, answers[0].body)}


async def test_a_blocked_user_is_refused_until_unblocked(make: MakeDesk, rest: Rest) -> None:
    desk = await make()
    async with desk.dial() as connection:  # so that the login is remembered
        assert (await connection.ask("/qvd/list_of_vm")).status == 200
    await set_blocked(rest, f"/users/{desk.user_id}", blocked=True)
    async with desk.dial() as connection:
        says(await connection.connect(desk.vm_id), 401, "blocked")
    await nothing_was_begun(rest, desk.vm_id)
    await set_blocked(rest, f"/users/{desk.user_id}", blocked=False)
    async with desk.dial() as connection:
        assert (await connection.ask("/qvd/list_of_vm")).status == 200


async def test_users_of_a_blocked_tenant_are_refused(node: NodeProcess, rest: Rest) -> None:
    name = f"tenant{next(NUMBERS)}"
    tenant = (await rest.post("/tenants", {"name": name}))["id"]
    flavour = await make_flavour(rest, f"office-{name}", "icewm", tenant_id=tenant)
    desk = await make_desk(node, rest, f"user{next(NUMBERS)}", flavour, tenant)
    desk = replace(desk, login=f"{desk.login}@{name}")
    async with desk.dial() as connection:
        assert f'"id": {desk.vm_id}' in (await connection.ask("/qvd/list_of_vm")).body.decode()
    await set_blocked(rest, f"/tenants/{tenant}", blocked=True)
    async with desk.dial() as connection:
        says(await connection.connect(desk.vm_id), 401, "blocked")
    await nothing_was_begun(rest, desk.vm_id)


async def test_a_blocked_vm_is_refused_and_shown_as_blocked(make: MakeDesk, rest: Rest) -> None:
    desk = await make()
    await set_blocked(rest, f"/vms/{desk.vm_id}", blocked=True)
    async with desk.dial() as connection:
        assert '"blocked": 1' in (await connection.ask("/qvd/list_of_vm")).body.decode()
        says(await connection.connect(desk.vm_id), 403, "maintenance")
    await nothing_was_begun(rest, desk.vm_id)
    await set_blocked(rest, f"/vms/{desk.vm_id}", blocked=False)
    async with desk.dial() as connection:
        assert (await connection.connect(desk.vm_id)).status == 101


async def test_somebody_elses_desktop_is_neither_shown_stopped_nor_started(
    make: MakeDesk, rest: Rest
) -> None:
    mine, theirs = await make(), await make()
    async with mine.dial() as connection:
        listed = (await connection.ask("/qvd/list_of_vm")).body.decode()
        assert f'"id": {theirs.vm_id}' not in listed
        says(await connection.ask(f"/qvd/stop_vm?id={theirs.vm_id}"), 403, "somebody else")
        says(await connection.connect(theirs.vm_id), 403, "somebody else")
    await nothing_was_begun(rest, theirs.vm_id)


async def test_a_desktop_of_another_tenant_does_not_exist(
    node: NodeProcess, make: MakeDesk, rest: Rest
) -> None:
    mine, name = await make(), f"tenant{next(NUMBERS)}"
    tenant = (await rest.post("/tenants", {"name": name}))["id"]
    flavour = await make_flavour(rest, f"office-{name}", "icewm", tenant_id=tenant)
    theirs = await make_desk(node, rest, f"user{next(NUMBERS)}", flavour, tenant)
    async with mine.dial() as connection:
        says(await connection.connect(theirs.vm_id), 404, "no desktop")
        says(await connection.ask(f"/qvd/stop_vm?id={theirs.vm_id}"), 404, "no desktop")
    await nothing_was_begun(rest, theirs.vm_id)


async def test_missing_and_odd_parameters_are_refused_before_anything_starts(
    make: MakeDesk, rest: Rest
) -> None:
    desk = await make()
    odd = {
        "/qvd/connect_to_vm": (422, "id"),
        "/qvd/connect_to_vm?id=": (422, "id"),
        "/qvd/connect_to_vm?id=%27%3B+drop": (422, "id"),
        "/qvd/connect_to_vm?id=-1": (422, "id"),
        "/qvd/connect_to_vm?id=0": (404, "no desktop"),
        "/qvd/connect_to_vm?id=99999999999999999999": (404, "no desktop"),
        f"/qvd/connect_to_vm?id={desk.vm_id}&qvd.vm.user.name=root": (403, "qvd.vm.user.name"),
        f"/qvd/connect_to_vm?id={desk.vm_id}&custom.a%0Ab=1": (400, "custom"),
        f"/qvd/connect_to_vm?id={desk.vm_id}&custom.a={'x' * 1025}": (400, "custom"),
    }
    async with desk.dial() as connection:
        for target, (status, word) in odd.items():
            says(await connection.ask(target, *UPGRADE), status, word)
        says(await connection.ask(f"/qvd/connect_to_vm?id={desk.vm_id}"), 426, "upgrade")
    await nothing_was_begun(rest, desk.vm_id)


async def test_heads_that_are_none_end_their_own_connection_only(make: MakeDesk) -> None:
    desk = await make()
    word = base64.b64encode(f"{desk.login}:{PASSWORD}".encode())
    heads = {
        b"GET /qvd/ping HTTP/2.0\r\n\r\n": b" 505 ",
        b"GET /qvd/ping\r\n\r\n": b" 400 ",
        b"GET /qvd/ping HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n": b" 400 ",
        b"GET /qvd/list_of_vm HTTP/1.1\r\nAuthorization: Basic " + word: b"",  # and it ends there
    }
    for head, status in heads.items():
        async with desk.dial() as connection:
            reader, writer = connection.streams
            writer.write(head)
            if not status:
                continue
            assert status in await asyncio.wait_for(reader.readuntil(b"\r\n"), 30), head[:40]
            with contextlib.suppress(ConnectionResetError):  # for what it did not read any more
                await asyncio.wait_for(reader.read(), 30)
    async with desk.dial() as connection:
        assert (await connection.ask("/qvd/ping")).status == 200


async def test_many_half_open_connections_do_not_keep_a_user_from_the_desktop(
    node: NodeProcess, make: MakeDesk, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    stalled = [
        await asyncio.open_connection("127.0.0.1", node.client_port) for _ in range(HALF_OPEN)
    ]
    for _, writer in stalled[: HALF_OPEN // 2]:
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00")  # the beginning of a TLS greeting
    try:
        async with viewing(desk, screen, tmp_path):
            assert not any(reader.at_eof() for reader, _ in stalled)
    finally:
        for _, writer in stalled:
            writer.close()
