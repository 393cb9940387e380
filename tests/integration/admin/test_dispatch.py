import pytest

from qvdnode.admin.endpoint import Permission
from qvdnode.admin.endpoints import ENDPOINTS
from tests.integration.admin.checked_api import CheckedApi


@pytest.mark.parametrize("token", [None, "", "wrong", "x" * 5_000, "ä"])
async def test_only_a_valid_token_opens_anything(api: CheckedApi, token: str | None) -> None:
    stranger = CheckedApi(api.client, token)
    answers = set()
    for endpoint in ENDPOINTS:
        assert endpoint.permission is Permission.OPERATOR
        path = endpoint.path.replace("{id}", "1").replace("{name}", "icewm")
        refused = await stranger.call(endpoint.method, path, status=401)
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
        answers.add((refused["title"], refused["detail"]))
    assert len(answers) == 1


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer  ", "bearer", "token x"])
async def test_other_proofs_are_no_tokens(api: CheckedApi, header: str) -> None:
    stranger = CheckedApi(api.client, None)
    await stranger.call("GET", "/tenants", headers={"Authorization": header}, status=401)


async def test_the_scheme_is_read_in_any_case(api: CheckedApi) -> None:
    stranger = CheckedApi(api.client, None)
    headers = {"Authorization": f"bEARER {api.token}"}
    await stranger.call("GET", "/tenants", headers=headers, status=200)
