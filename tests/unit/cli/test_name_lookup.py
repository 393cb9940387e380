from typing import Any

import pytest

from qvdnode.cli import name_lookup
from qvdnode.cli.name_lookup import Qualified
from qvdnode.model.errors import Invalid, NotFound, Unavailable


class FarmOfTwoTenants:
    """Two tenants, each with an alice who has a VM called desk."""

    LISTS: dict[str, list[dict[str, Any]]] = {  # noqa: RUF012 - read only
        "/tenants": [{"id": 1, "name": "default"}, {"id": 2, "name": "acme"}],
        "/users": [
            {"id": 11, "tenant_id": 1, "login": "alice"},
            {"id": 12, "tenant_id": 2, "login": "alice"},
            {"id": 13, "tenant_id": 1, "login": "ana@corp.example"},
        ],
        "/flavours": [{"id": 21, "tenant_id": 2, "name": "icewm"}],
        "/vms": [
            {"id": 31, "user_id": 11, "name": "desk"},
            {"id": 32, "user_id": 12, "name": "desk"},
            {"id": 33, "user_id": 12, "name": "lab"},
        ],
        "/nodes": [{"id": 41, "name": "desk1"}],
    }

    async def items(
        self, path: str, *, limit: int | None = None, **query: object
    ) -> list[dict[str, Any]]:
        wanted = {key: value for key, value in query.items() if value is not None}
        return [item for item in self.LISTS[path] if wanted.items() <= item.items()]


FARM = FarmOfTwoTenants()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("alice", Qualified("alice", "default")),
        ("alice@acme", Qualified("alice", "acme")),
        ("a@b@acme", Qualified("a@b", "acme")),
    ],
)
def test_the_tenant_follows_the_last_at_sign(text: str, parts: Qualified) -> None:
    assert name_lookup.split_tenant(text) == parts


@pytest.mark.parametrize("text", ["@acme", "alice@"])
def test_half_a_name_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        name_lookup.split_tenant(text)


async def test_numbers_are_taken_as_they_are() -> None:
    assert await name_lookup.tenant_id(FARM, "99") == 99
    assert await name_lookup.user_id(FARM, "99") == 99
    assert await name_lookup.flavour_id(FARM, "99") == 99
    assert await name_lookup.vm_id(FARM, "99") == 99
    assert await name_lookup.node_id(FARM, "99") == 99


async def test_names_are_looked_up_in_their_tenant() -> None:
    assert await name_lookup.user_id(FARM, "alice") == 11
    assert await name_lookup.user_id(FARM, "alice@acme") == 12
    assert await name_lookup.flavour_id(FARM, "icewm@acme") == 21


async def test_a_login_with_a_domain_is_looked_for_in_the_default_tenant_too() -> None:
    assert await name_lookup.user_id(FARM, "ana@corp.example") == 13
    assert await name_lookup.user_id(FARM, "ana@corp.example@default") == 13
    with pytest.raises(NotFound, match=r"tenant other\.example"):
        await name_lookup.user_id(FARM, "ana@other.example")


async def test_a_node_is_found_by_its_name() -> None:
    assert await name_lookup.node_id(FARM, "desk1") == 41
    with pytest.raises(NotFound, match="node desk2"):
        await name_lookup.node_id(FARM, "desk2")


async def test_a_vm_is_found_by_a_name_only_one_has() -> None:
    assert await name_lookup.vm_id(FARM, "lab") == 33


async def test_a_vm_name_that_several_have_wants_its_owner() -> None:
    with pytest.raises(Invalid, match="31, 32"):
        await name_lookup.vm_id(FARM, "desk")
    assert await name_lookup.vm_id(FARM, "alice@acme/desk") == 32


async def test_an_unknown_name_is_not_found() -> None:
    with pytest.raises(NotFound, match="bob in tenant default"):
        await name_lookup.user_id(FARM, "bob")
    with pytest.raises(NotFound, match="tenant nowhere"):
        await name_lookup.flavour_id(FARM, "icewm@nowhere")


class NodeWithoutDatabase:
    """Knows by name what runs on it, and nobody's number."""

    VMS: list[dict[str, Any]] = [  # noqa: RUF012 - read only
        {"id": 31, "user_id": 11, "user": "alice", "tenant": "default", "name": "desk"},
        {"id": 32, "user_id": 12, "user": "alice", "tenant": "acme", "name": "desk"},
    ]

    async def items(
        self, path: str, *, limit: int | None = None, **query: object
    ) -> list[dict[str, Any]]:
        if path != "/vms" or set(query) != {"name"}:
            raise Unavailable("The database is away.")
        return [vm for vm in self.VMS if vm["name"] == query["name"]]


@pytest.mark.parametrize(("text", "number"), [("alice@acme/desk", 32), ("11/desk", 31)])
async def test_a_vm_that_runs_is_found_without_database(text: str, number: int) -> None:
    assert await name_lookup.vm_id(NodeWithoutDatabase(), text) == number


async def test_what_only_the_database_knows_is_told_to_be_away() -> None:
    with pytest.raises(Unavailable):
        await name_lookup.user_id(NodeWithoutDatabase(), "alice")
