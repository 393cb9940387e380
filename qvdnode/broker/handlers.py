"""Handles each path of the QVD protocol: checks, calls the use case, returns the answer.

QVD clients rely on the order of the checks: 404 for the path, 401, 422 for the id, 404 and 403 for
the VM, 403 for the parameters, 426. Nothing changes before all checks have passed.
"""

import base64
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from qvdnode.broker.login import ConnectionLogin
from qvdnode.model.errors import NotFound, Unavailable
from qvdnode.model.principal import Principal
from qvdnode.model.seat import Progress
from qvdnode.session.access import Permission
from qvdnode.session.connect import SessionTicket
from qvdnode.session.desktops import Desktops
from qvdnode.session.ports import ClientEnd
from qvdnode.wire.qvd1 import RequestHead
from qvdnode.wire.qvd_answers import UPGRADE_TO, Answer, desktop_list, json_object, sentence
from qvdnode.wire.qvd_params import DisplayRequest, parse_display, parse_id

log = logging.getLogger(__name__)

UPGRADE_WANTED: Final = sentence(
    426,
    "connect_to_vm needs the headers Connection: Upgrade and Upgrade: QVD/1.0.",
    ("Upgrade", UPGRADE_TO),
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and what a handler needs of its connection."""

    head: RequestHead
    login: ConnectionLogin
    source: str
    progress: Progress
    client: ClientEnd


Outcome = Answer | SessionTicket
Route = Callable[[Request], Awaitable[Outcome]]
UserRoute = Callable[[Request, Principal], Awaitable[Outcome]]


class Handlers:
    """Maps paths to the use cases of `session`."""

    def __init__(self, desktops: Desktops) -> None:
        self._desktops = desktops
        self._user_routes: dict[str, UserRoute] = {
            "/qvd/list_of_vm": self._list_desktops,
            "/qvd/list_of_applications": self._list_applications,
            "/qvd/connect_to_vm": self._connect,
            "/qvd/stop_vm": self._stop,
            "/qvd/session_end": self._session_end,
            "/qvd/authenticate_user": self._authenticate,
            "/qvd/create_auth_token": self._create_token,
        }

    async def handle(self, request: Request) -> Outcome:
        """Return the answer, or the ticket for a desktop that is ready; raises FarmError."""
        path = request.head.path
        if path == "/qvd/ping":
            return self._ping()
        route = self._user_routes.get(path)
        if route is None:
            raise NotFound("There is nothing at this path; this port is for QVD clients.")
        principal = await request.login.principal(request.head.headers.get("authorization", ""))
        return await route(request, principal)

    def _ping(self) -> Answer:
        if not self._desktops.alive():
            raise Unavailable("This node does not serve desktops now.")
        return sentence(200, "I am alive!")

    async def _list_desktops(self, _request: Request, principal: Principal) -> Answer:
        return desktop_list(await self._desktops.entries(principal, applications=False))

    async def _list_applications(self, _request: Request, principal: Principal) -> Answer:
        return desktop_list(await self._desktops.entries(principal, applications=True))

    async def _connect(self, request: Request, principal: Principal) -> Outcome:
        permission, wanted = await self._checked(request, principal)
        if not asks_for_upgrade(request.head):
            return UPGRADE_WANTED
        vm_id = permission.order.vm.id
        if wanted.ignored:
            log.info("client_options_ignored", extra={"vm": vm_id, "keys": wanted.ignored})
        request.progress(f"Preparing desktop {vm_id}")
        return await self._desktops.connect(
            permission, wanted.params, request.client, request.progress, source=request.source
        )

    async def _stop(self, request: Request, principal: Principal) -> Answer:
        permission, _ = await self._checked(request, principal)
        await self._desktops.stop(permission, request.progress)
        return sentence(200, "Machine stopped")

    async def _session_end(self, request: Request, principal: Principal) -> Answer:
        vm_id = parse_id(request.head.query)
        permission = await self._desktops.authorise(principal, vm_id)
        end = await self._desktops.session_end(permission)
        return json_object(
            state=end.state,
            display=end.display,
            viewer=int(end.viewer),
            because=end.because,
            failed=int(end.failed),
        )

    async def _authenticate(self, request: Request, principal: Principal) -> Answer:
        if dict(request.head.query).get("store_auth") != "1":
            return json_object()
        token_id, _ = await self._desktops.issue_token(principal)
        return json_object(auth_params_id=token_id)

    async def _create_token(self, _request: Request, principal: Principal) -> Answer:
        token_id, token = await self._desktops.issue_token(principal)
        encoded = base64.encodebytes(token.encode()).decode("ascii")
        return json_object(auth_params_id=token_id, auth_token=encoded)

    async def _checked(
        self, request: Request, principal: Principal
    ) -> tuple[Permission, DisplayRequest]:
        """Run all checks of a VM request; raises FarmError."""
        vm_id = parse_id(request.head.query)
        permission = await self._desktops.authorise(principal, vm_id)
        return permission, parse_display(request.head.query)


def asks_for_upgrade(head: RequestHead) -> bool:
    """Whether the headers ask for the NX stream, with exactly the values that clients send."""
    connection = [word.strip().lower() for word in head.headers.get("connection", "").split(",")]
    return "upgrade" in connection and head.headers.get("upgrade", "").upper() == UPGRADE_TO
