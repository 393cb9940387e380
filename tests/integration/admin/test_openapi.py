import json

from tests.integration.admin.checked_api import CheckedApi

SOCKETS = {"/my/screen", "/my/assistance", "/assistance", "/console/{id}"}
PAGES = {"/", "/ui", "/ui/{page}", "/my", "/my/", "/my/desktop", *SOCKETS}
"""For people and their browsers, and so not in the document of the API."""


async def test_the_document_is_served_to_anybody(api: CheckedApi) -> None:
    async with api.client.get("/api/v1/openapi.json") as answer:
        assert answer.status == 200
        document = await answer.json()
    assert document["openapi"] == "3.1.0"
    routes = {
        (route.method, route.resource.canonical)
        for route in api.client.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    documented = {
        (method.upper(), path) for path, place in document["paths"].items() for method in place
    }
    pages = {route for route in routes if route[1] in PAGES or route[1].startswith("/assets/")}
    assert len(pages) == len(PAGES) + 1
    assert routes - pages == documented | {("GET", "/api/v1/openapi.json")}
    assert json.dumps(document)
