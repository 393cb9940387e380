"""The node's figures over HTTP."""

from tests.integration.admin.checked_api import CheckedApi


async def test_figures_are_those_of_the_node(api: CheckedApi) -> None:
    said = await api.get("/figures")
    assert said["node"] == "node1"
    first, _second = said["points"]
    assert first["vms"] == {"running": 2}
    assert (first["at"], first["seconds"], first["cpu_percent"]) == (100, 5, 12.5)
    assert (first["login_p50_ms"], first["login_p99_ms"]) == (50.0, 99.0)
    assert said.headers["Content-Encoding"] in {"gzip", "deflate"}


async def test_only_new_points_are_asked_for(api: CheckedApi) -> None:
    assert [point["at"] for point in (await api.get("/figures", since=100))["points"]] == [105]
    assert (await api.get("/figures", since=105))["points"] == []
    await api.get("/figures", 422, since=-1)
    await api.get("/figures", 422, since="nan")
