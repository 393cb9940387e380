"""/my/desktops: a user's own desktops: list, start, stop, restart, and a ticket for the browser."""

from typing import Final, Literal

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint, Permission
from qvdnode.admin.reading import NoBody, NoQuery
from qvdnode.admin.routes.own_desktop import own_desktop
from qvdnode.desk.desks import LIFE_S
from qvdnode.model.errors import (
    Conflict,
    GuestFailed,
    HostFailed,
    LeaseLost,
    NodeFull,
    Throttled,
    TimedOut,
    Unavailable,
)
from qvdnode.model.transfer import Transfer


class MyDesktop(AnswerModel):
    """One desktop, or one application."""

    id: int
    name: str
    kind: Literal["desktop", "application"]
    state: str
    """As QVD clients are told it."""
    blocked: bool
    """Whether it is offline for maintenance."""
    files: Transfer
    """Which way files may be moved between its home and the browser."""


class MyDesktops(AnswerModel):
    """All desktops of the user."""

    items: list[MyDesktop]
    browser_refusal: str | None
    """Why none of them can be opened in a browser at this node now; null if they can."""
    client_port: int
    """The port for native clients."""


class Ticket(AnswerModel):
    """The right to open one desktop once."""

    ticket: str
    life_s: float


async def list_desktops(call: ApiCall[NoBody, NoQuery]) -> MyDesktops:
    """Return the user's desktops and applications."""
    parts, user = call.parts, call.user()
    found = [
        MyDesktop(
            id=entry.id,
            name=entry.name,
            kind="application" if applications else "desktop",
            state=entry.state,
            blocked=entry.blocked,
            files=entry.files,
        )
        for applications in (False, True)
        for entry in await parts.desktops.entries(user, applications=applications)
    ]
    return MyDesktops(
        items=sorted(found, key=lambda entry: (entry.kind != "desktop", entry.name, entry.id)),
        browser_refusal=parts.desks.refusal(),
        client_port=parts.facts().client_port,
    )


async def make_ticket(call: ApiCall[NoBody, NoQuery]) -> Ticket:
    """Return a ticket that opens the desktop in this browser, once and soon."""
    permission = await own_desktop(call)
    ticket = await call.parts.desks.ticket(call.user(), permission)
    return Ticket(ticket=ticket, life_s=LIFE_S)


async def start_desktop(call: ApiCall[NoBody, NoQuery]) -> None:
    """Start the desktop without showing it; answers when it runs."""
    await call.parts.desktops.start(await own_desktop(call))


async def stop_desktop(call: ApiCall[NoBody, NoQuery]) -> None:
    """Stop the desktop; answers when it is stopped. Unsaved work is lost."""
    await call.parts.desktops.stop(await own_desktop(call), _silent)


async def restart_desktop(call: ApiCall[NoBody, NoQuery]) -> None:
    """Stop the desktop if it runs, also one that hangs, and start it afresh."""
    permission = await own_desktop(call)
    await call.parts.desktops.stop(permission, _silent)
    await call.parts.desktops.start(await own_desktop(call))


def _silent(_sentence: str) -> None:
    """Tell nobody: the page waits for the answer."""


_START_ERRORS: Final = (Conflict, LeaseLost, NodeFull, GuestFailed, HostFailed, TimedOut)

MY_ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/desktops",
        handler=list_desktops,
        summary="List one's own desktops",
        tag="my",
        body=NoBody,
        query=NoQuery,
        answer=MyDesktops,
        permission=Permission.USER,
    ),
    Endpoint(
        method="POST",
        path="/desktops/{id}/ticket",
        handler=make_ticket,
        summary="Get a ticket to open a desktop in the browser",
        tag="my",
        body=NoBody,
        query=NoQuery,
        answer=Ticket,
        errors=(NodeFull, Throttled, Unavailable),
        permission=Permission.USER,
    ),
    Endpoint(
        method="POST",
        path="/desktops/{id}/start",
        handler=start_desktop,
        summary="Start one's own desktop",
        tag="my",
        body=NoBody,
        query=NoQuery,
        status=204,
        errors=_START_ERRORS,
        permission=Permission.USER,
    ),
    Endpoint(
        method="POST",
        path="/desktops/{id}/stop",
        handler=stop_desktop,
        summary="Stop one's own desktop",
        tag="my",
        body=NoBody,
        query=NoQuery,
        status=204,
        errors=_START_ERRORS,
        permission=Permission.USER,
    ),
    Endpoint(
        method="POST",
        path="/desktops/{id}/restart",
        handler=restart_desktop,
        summary="Restart one's own desktop",
        tag="my",
        body=NoBody,
        query=NoQuery,
        status=204,
        errors=_START_ERRORS,
        permission=Permission.USER,
    ),
)
