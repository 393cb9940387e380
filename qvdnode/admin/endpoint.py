"""The type of an endpoint: one row has its path, models, errors and permission.

Routes (app.py) and the OpenAPI document (openapi.py) are both made from these rows, so they cannot
differ. Handlers get an `ApiCall` and return a model; dispatch.py and boundary.py do the rest.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from qvdnode.admin.fields import SMALL_NAME
from qvdnode.admin.parts import AdminParts
from qvdnode.model.browser_session import BrowserSession
from qvdnode.model.errors import FarmError, NotFound
from qvdnode.model.ids import MAX_WIRE_ID
from qvdnode.model.principal import Operator, Principal

B = TypeVar("B", bound=BaseModel)
Q = TypeVar("Q", bound=BaseModel)

JSON: Final = "application/json"
TAR: Final = "application/x-tar"
BYTES: Final = "application/octet-stream"
NDJSON: Final = "application/x-ndjson"
EVENT_STREAM: Final = "text/event-stream"


class Permission(Enum):
    """Who may call an endpoint."""

    ANYBODY = auto()
    OPERATOR = auto()
    """Anybody with a valid API token, or logged in to the administration page."""
    OPERATOR_OR_LOOPBACK = auto()
    """As above, or any program on the node's own host."""
    USER = auto()
    """A user who is logged in to the users' page; the call has the `principal`."""
    OWN_PAGE = auto()
    """Anybody, but only from a page of this node: logging in and out."""


@dataclass(frozen=True, slots=True)
class PathParam:
    """A variable segment of a path: its pattern, and its schema for the OpenAPI document."""

    pattern: str
    schema: Mapping[str, Any]


PATH_PARAMS: Final[dict[str, PathParam]] = {
    "id": PathParam(r"\d{1,10}", {"type": "integer", "minimum": 1, "maximum": MAX_WIRE_ID}),
    "name": PathParam(r"[^/]+", {"type": "string", "pattern": SMALL_NAME.pattern}),
}
"""A path whose segment does not match its pattern matches no route and gets 404."""


class AnswerModel(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Change:
    """What a request changed, for the audit trail. Never holds a secret."""

    kind: str
    id: str
    detail: Mapping[str, object]


@dataclass(slots=True)
class ApiCall(Generic[B, Q]):
    """One checked request: the operator, and the body and the query as models."""

    parts: AdminParts
    request: web.Request
    operator: Operator | None
    body: B
    query: Q
    status: int
    """The status of the answer; a handler may set another one that its row lists."""
    changes: list[Change] = field(default_factory=list)
    principal: Principal | None = None
    """The user, where the endpoint is for users."""
    session: BrowserSession | None = None
    """The login in a browser, if the caller has one; None for a bearer token."""

    cookies: dict[str, str | None] = field(default_factory=dict)
    """Cookies to set with the answer; None removes one."""

    def administrator(self) -> Operator:
        """Return the operator of an endpoint for operators."""
        if self.operator is None:
            raise AssertionError("the endpoint's permission asks for an operator")
        return self.operator

    def user(self) -> Principal:
        """Return the user of an endpoint for users."""
        if self.principal is None:
            raise AssertionError("the endpoint's permission asks for a user")
        return self.principal

    def source(self) -> str:
        """Return the address of the caller."""
        return self.request.remote or ""

    def id(self) -> int:
        """Return the id in the path; raises NotFound for a number that is too large."""
        number = int(self.request.match_info["id"])
        if not 1 <= number <= MAX_WIRE_ID:
            raise NotFound(f"There is nothing with the number {number}.")
        return number

    def name(self) -> str:
        """Return the name in the path; raises NotFound for an invalid name."""
        name = self.request.match_info["name"]
        if not re.fullmatch(SMALL_NAME.pattern, name):
            raise NotFound(f"Nothing has that name: names are {SMALL_NAME.meaning}.")
        return name

    def changed(self, kind: str, identity: int | str, **detail: object) -> None:
        """Record a change for the audit trail; call it after the change is made or begun."""
        self.changes.append(Change(kind, str(identity), detail))


Handler = Callable[[ApiCall[B, Q]], Awaitable[BaseModel | web.StreamResponse | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Generic[B, Q]):
    """One method on one path."""

    method: str
    path: str
    """Below /api/v1 (or below / for probes), with `{id}` or `{name}` segments."""
    handler: Handler[B, Q]
    summary: str
    tag: str
    body: type[B]
    query: type[Q]
    answer: type[BaseModel] | None = None
    """None for 204."""
    status: int = 200
    other_statuses: tuple[int, ...] = ()
    """Further success statuses with the same answer."""
    errors: tuple[type[FarmError], ...] = ()
    """Errors besides those that openapi.py adds to every endpoint."""
    permission: Permission = Permission.OPERATOR
    action: str | None = None
    """The audit action; None for endpoints that change nothing."""
    body_media: tuple[str, ...] = (JSON,)
    """Accepted media types of the body; the first is the recommended one."""
    answer_media: str = JSON
    is_use: bool = True
    """Whether a call prolongs a login in a browser; False for what a page opens by itself."""

    @property
    def takes_json(self) -> bool:
        """Whether dispatch.py reads the body as JSON; the handler reads a streamed one."""
        return self.body_media == (JSON,)


AnyEndpoint = Endpoint[Any, Any]


def route_path(prefix: str, path: str) -> str:
    """Return the path for aiohttp's router, each variable with its pattern."""
    for name, param in PATH_PARAMS.items():
        path = path.replace("{" + name + "}", "{" + name + ":" + param.pattern + "}")
    return prefix + path


def variables(path: str) -> list[str]:
    """Return the names of the variable segments of a path, in order."""
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]
