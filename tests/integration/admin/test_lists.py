"""Every list over HTTP: searched, sorted, counted."""

import re

import pytest

from qvdnode.admin.endpoint import AnyEndpoint
from qvdnode.admin.endpoints import ENDPOINTS
from qvdnode.admin.reading import ListQuery
from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.sample_farm import SampleFarm

LISTS = [endpoint for endpoint in ENDPOINTS if issubclass(endpoint.query, ListQuery)]


def orders(endpoint: AnyEndpoint) -> list[str]:
    """The fields by which a list can be sorted, from its document."""
    found = re.search(r"\((.*)\)", str(endpoint.query.model_json_schema()["properties"]["sort"]))
    assert found is not None
    return found[1].split("|")


def test_all_lists_are_here() -> None:
    assert {endpoint.path for endpoint in LISTS} == {
        "/audit", "/flavours", "/images", "/nodes", "/sessions", "/tenants", "/tokens", "/users",
        "/vms",
    }  # fmt: skip


@pytest.mark.parametrize("endpoint", LISTS, ids=lambda endpoint: endpoint.path)
async def test_each_order_that_is_documented_works(
    api: CheckedApi, farm: SampleFarm, endpoint: AnyEndpoint
) -> None:
    assert farm.user_id
    assert "id" in orders(endpoint)
    for name in orders(endpoint):
        forth = await api.get(endpoint.path, sort=name)
        back = await api.get(endpoint.path, sort=f"-{name}")
        assert forth["items"] == back["items"][::-1]
        assert forth["total"] == back["total"] == len(forth["items"])


@pytest.mark.parametrize("endpoint", LISTS, ids=lambda endpoint: endpoint.path)
async def test_what_no_name_begins_with_is_not_found(
    api: CheckedApi, farm: SampleFarm, endpoint: AnyEndpoint
) -> None:
    assert farm.user_id
    none = await api.get(endpoint.path, q="no such name")
    assert (none["items"], none["total"], none["next_after"]) == ([], 0, None)


async def test_the_next_page_of_a_sorted_list_is_asked_for_with_its_text(
    api: CheckedApi, farm: SampleFarm
) -> None:
    for login in ("ana", "bob", "carl"):
        body = {"tenant_id": farm.tenant_id, "login": login, "password": "secret"}
        await api.post("/users", body)
    logins: list[str] = []
    after: str | None = "0"
    while after is not None:
        page = await api.get("/users", sort="-login", limit=3, after=after)
        logins += [item["login"] for item in page["items"]]
        assert page["total"] == 4
        after = page["next_after"]
    assert logins == ["carl", "bob", "ana", "alice"]


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"sort": "password"}, 422, "one of id, login, tenant, created_at"),
        ({"q": "x" * 65}, 422, "1 to 64 characters"),
        ({"q": "a\nb"}, 422, "1 to 64 characters"),
        ({"after": "-1"}, 422, "next_after"),
        ({"after": "x" * 30, "sort": "login"}, 404, "first one"),
        ({"after": "7", "sort": "login"}, 404, "first one"),
        ({"after": "9" * 19}, 200, ""),
    ],
)
async def test_what_cannot_be_listed_is_refused_with_what_can(
    api: CheckedApi, query: dict[str, object], status: int, words: str
) -> None:
    said = await api.get("/users", status, **query)
    assert words in said.body.get("detail", "")
