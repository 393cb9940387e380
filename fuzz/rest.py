"""Bodies and queries of the REST API, for each of its models."""

import contextlib
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

from fuzz.target import Target
from qvdnode.admin.endpoints import ENDPOINTS
from qvdnode.admin.reading import read_body, read_query
from qvdnode.model.errors import FarmError
from qvdnode.model.list_cursor import BadCursor, ListCursor, decoded

BODIES: Final = {endpoint.body for endpoint in ENDPOINTS}
QUERIES: Final = {endpoint.query for endpoint in ENDPOINTS}


def rest_bodies(data: bytes) -> None:
    """Any body is a request, or refused."""
    for model in BODIES:
        with contextlib.suppress(FarmError):
            read_body(model, data)


def rest_queries(data: bytes) -> None:
    """Any query string is one that the endpoint takes, or refused."""
    pairs = parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True)
    for model in QUERIES:
        with contextlib.suppress(FarmError):
            read_query(model, pairs)


def list_cursors(data: bytes) -> None:
    """Any text is a place in a list, which comes back the same, or refused."""
    with contextlib.suppress(BadCursor):
        cursor = decoded(data.decode("latin-1"))
        if decoded(cursor.encoded()) != cursor:
            raise AssertionError(cursor)


TARGETS: Final[dict[str, Target]] = {
    "rest_bodies": Target(
        rest_bodies,
        (
            b'{"tenant_id": 1, "login": "alice", "password": "secret word"}',
            b'{"tenant_id": 1, "name": "office", "image": "icewm", "memory_mib": 512}',
            b'{"user_id": 1, "flavour_id": 1, "name": "desk", "blocked": true}',
        ),
    ),
    "list_cursors": Target(
        list_cursors,
        (
            ListCursor("login", "alice", 7).encoded().encode(),
            ListCursor("-created_at", datetime(2026, 1, 1, tzinfo=UTC), 7).encoded().encode(),
        ),
    ),
    "rest_queries": Target(rest_queries, (b"limit=10&after=5&name=x", b"state=running&newest=1")),
}
