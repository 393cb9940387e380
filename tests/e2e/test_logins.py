"""The ways in: password or token, with a tenant in the login; and what each login may see."""

import json
from dataclasses import replace

import pytest

from tests.e2e.conftest import NUMBERS, MakeDesk
from tests.harness.farm import Desk, make_desk, make_flavour
from tests.harness.node import NodeProcess
from tests.harness.qvd import Answer
from tests.harness.rest import Rest

pytestmark = pytest.mark.asyncio(loop_scope="session")


def ids(answer: Answer) -> list[int]:
    """The numbers in a list."""
    assert answer.status == 200, answer
    return [row["id"] for row in json.loads(answer.body)]


async def list_as(desk: Desk, login: str) -> Answer:
    """The list that a login with the desk's password gets."""
    async with replace(desk, login=login).dial() as connection:
        return await connection.ask("/qvd/list_of_vm")


@pytest.mark.parametrize("suffix", ["", "@default", "#default", "@DEFAULT"])
async def test_a_login_may_name_its_tenant(make: MakeDesk, suffix: str) -> None:
    desk = await make()
    assert ids(await list_as(desk, desk.login + suffix)) == [desk.vm_id]
    assert ids(await list_as(desk, desk.login.upper() + suffix)) == [desk.vm_id]


async def test_a_tenant_nobody_knows_is_refused_like_a_wrong_password(make: MakeDesk) -> None:
    desk = await make()
    async with desk.dial("not it") as connection:
        wrong = await connection.ask("/qvd/list_of_vm")
    answer = await list_as(desk, f"{desk.login}@nowhere")
    assert (answer.status, answer.body) == (401, wrong.body)
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="QVD"'


async def test_a_token_made_on_the_wire_logs_in_as_it_was_given(make: MakeDesk, rest: Rest) -> None:
    desk = await make()
    async with desk.dial() as connection:
        made = json.loads((await connection.ask("/qvd/create_auth_token")).body)
        stored = json.loads((await connection.ask("/qvd/authenticate_user?store_auth=1")).body)
        plain = json.loads((await connection.ask("/qvd/authenticate_user")).body)
    assert stored.keys() == {"auth_params_id"}
    assert stored["auth_params_id"] != made["auth_params_id"]
    assert plain == {}
    token = made["auth_token"]
    assert token.endswith("\n")
    async with desk.dial() as connection:
        connection.authorization = f"Bearer {token.strip()}"
        assert ids(await connection.ask("/qvd/list_of_vm")) == [desk.vm_id]
        assert (await connection.connect(desk.vm_id)).status == 101
    async with desk.dial() as connection:
        connection.authorization = "Bearer bm8gdG9rZW4="
        assert (await connection.ask("/qvd/list_of_vm")).status == 401
    await rest.call("PATCH", f"/users/{desk.user_id}", {"blocked": True})
    async with desk.dial() as connection:
        connection.authorization = f"Bearer {token.strip()}"
        assert (await connection.ask("/qvd/list_of_vm")).status == 401


async def test_applications_and_desktops_are_listed_apart(
    node: NodeProcess, make: MakeDesk, rest: Rest
) -> None:
    plain, number = await make(), next(NUMBERS)
    flavour = await make_flavour(rest, f"terminal{number}", "icewm", application="xterm")
    single = await make_desk(node, rest, f"user{number}", flavour)
    async with plain.dial() as one, single.dial() as other:
        assert ids(await one.ask("/qvd/list_of_vm")) == [plain.vm_id]
        assert ids(await one.ask("/qvd/list_of_applications")) == []
        assert ids(await other.ask("/qvd/list_of_vm?")) == []
        assert ids(await other.ask("/qvd/list_of_applications?")) == [single.vm_id]
