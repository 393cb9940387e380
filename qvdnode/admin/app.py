"""Builds the web application for administrators and their programs: REST and probes.

Run it with `access_log=None`: the boundary writes one line per request itself.
"""

import asyncio
import functools
import json

from aiohttp import web
from aiohttp.typedefs import Handler

from qvdnode.admin import assistance_screen, boundary, console_screen, my_screen, openapi, pages
from qvdnode.admin.access import CALLS
from qvdnode.admin.dispatch import BODY_MAX_BYTES, handler_of
from qvdnode.admin.endpoint import JSON, route_path
from qvdnode.admin.endpoints import API_PREFIX, ENDPOINTS, PAGE_ENDPOINTS, SERVED
from qvdnode.admin.parts import PARTS, AdminParts
from qvdnode.runtime.clock import Clock


def build_app(parts: AdminParts, clock: Clock) -> web.Application:
    """Build the application from the table of endpoints."""
    app = web.Application(middlewares=[boundary.boundary(clock)], client_max_size=BODY_MAX_BYTES)
    app[PARTS] = parts
    app[CALLS] = {
        endpoint.handler.__name__: f"{endpoint.method} {endpoint.path}"
        for endpoint in (*ENDPOINTS, *PAGE_ENDPOINTS)
    }
    app.on_response_prepare.append(boundary.stamp)
    app.on_shutdown.append(_end_streams)
    for prefix, endpoint in SERVED:
        path = route_path(prefix, endpoint.path)
        app.router.add_route(endpoint.method, path, handler_of(endpoint))
    app.router.add_route("GET", f"{API_PREFIX}/openapi.json", _document_handler())
    pages.add_routes(app.router)
    my_screen.add_routes(app.router)
    assistance_screen.add_routes(app.router)
    console_screen.add_routes(app.router)
    return app


async def _end_streams(app: web.Application) -> None:
    """Let streams end by themselves, or a node that stops would wait for them."""
    app[PARTS].events.end_all()


def _document_handler() -> Handler:
    # Built when it is first asked for: it takes a tenth of a second, for which the clients of a
    # node that starts would wait.
    @functools.cache
    def body() -> bytes:
        return json.dumps(openapi.document()).encode()

    async def get_document(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=await asyncio.to_thread(body), content_type=JSON)

    return get_document
