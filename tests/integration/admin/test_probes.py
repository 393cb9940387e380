from tests.integration.admin.checked_api import CheckedApi
from tests.integration.admin.parts_for_tests import NotReady


async def test_the_process_lives(api: CheckedApi) -> None:
    async with api.client.get("/healthz") as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "alive"})


async def test_readiness_follows_its_reason(api: CheckedApi, not_ready: NotReady) -> None:
    async with api.client.get("/readyz") as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "ready"})
    not_ready.reason = "The database is away."
    async with api.client.get("/readyz") as answer:
        assert answer.status == 503
        said = await answer.json(content_type="application/problem+json")
        assert said["detail"] == "The database is away."
    not_ready.reason = None
    async with api.client.get("/readyz") as answer:
        assert answer.status == 200


async def test_metrics_are_open_to_the_host_itself(api: CheckedApi) -> None:
    await api.get("/tenants")
    async with api.client.get("/metrics") as answer:
        assert answer.status == 200
        text = await answer.text()
    assert 'qvdnode_admin_requests_total{method="GET",path="/api/v1/tenants",status="200"}' in text
