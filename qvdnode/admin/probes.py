"""The endpoints for monitoring: /healthz, /readyz, /metrics."""

from typing import Final, Literal

from aiohttp import web

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, Endpoint, Permission
from qvdnode.admin.reading import NoBody, NoQuery
from qvdnode.model.errors import Unavailable
from qvdnode.telemetry.metrics import CONTENT_TYPE, exposition


class Health(AnswerModel):
    """The process lives and answers."""

    status: Literal["alive"] = "alive"


class Ready(AnswerModel):
    """Desktops can be started here."""

    status: Literal["ready"] = "ready"


async def healthz(_call: ApiCall[NoBody, NoQuery]) -> Health:
    """Answer that the process lives."""
    return Health()


async def readyz(call: ApiCall[NoBody, NoQuery]) -> Ready:
    """Answer that desktops can be started; raises Unavailable with the reason if not."""
    reason = call.parts.not_ready()
    if reason is not None:
        raise Unavailable(reason)
    return Ready()


async def metrics(_call: ApiCall[NoBody, NoQuery]) -> web.Response:
    """Return every metric in Prometheus's text format."""
    return web.Response(body=exposition(), headers={"Content-Type": CONTENT_TYPE})


PROBES: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/healthz",
        handler=healthz,
        summary="Whether the process lives",
        tag="probes",
        body=NoBody,
        query=NoQuery,
        answer=Health,
        permission=Permission.ANYBODY,
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        handler=readyz,
        summary="Whether desktops can be started here",
        tag="probes",
        body=NoBody,
        query=NoQuery,
        answer=Ready,
        permission=Permission.ANYBODY,
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        handler=metrics,
        summary="Metrics for Prometheus",
        tag="probes",
        body=NoBody,
        query=NoQuery,
        answer_media=CONTENT_TYPE,
        permission=Permission.OPERATOR_OR_LOOPBACK,
    ),
)
