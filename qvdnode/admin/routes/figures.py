"""/figures: what this node measured in the last day, for plots."""

from typing import Final

from aiohttp import web
from pydantic import Field

from qvdnode.admin.endpoint import JSON, AnswerModel, AnyEndpoint, ApiCall, Endpoint
from qvdnode.admin.reading import NoBody, Query
from qvdnode.web.core.figure_ring import FigurePoint, quantile_ms

SINCE_MAX: Final = 1e12


class FigureQuery(Query):
    """Which points."""

    since: float = Field(
        default=0.0,
        ge=0,
        le=SINCE_MAX,
        allow_inf_nan=False,
        description="Only points after this time, in seconds since 1970.",
    )


class PointView(AnswerModel):
    """The figures of the `seconds` before `at`."""

    at: int
    """In seconds since 1970."""
    seconds: int
    vms: dict[str, int]
    """Desktops by state."""
    users: int
    """Those who are connected."""
    starts: int
    """Desktops that became ready."""
    failures: int
    """Starts that failed."""
    queue: int
    """Starts that wait."""
    cpu_percent: float
    """Percent of all cores."""
    memory_total_mib: int
    memory_used_mib: int
    memory_free_mib: int
    logins: int
    """Good logins with a password."""
    login_p50_ms: float | None
    login_p99_ms: float | None
    """Null where nobody has logged in."""


class FigureList(AnswerModel):
    """The figures of one node: every 5 s for half an hour, every minute for the day before."""

    node: str
    now: int
    """The node's clock, in seconds since 1970."""
    points: list[PointView]


def view(point: FigurePoint) -> PointView:
    """Return the view of a point."""
    figures = point.figures
    return PointView(
        at=point.at,
        seconds=point.seconds,
        vms=dict(figures.vms),
        users=figures.users,
        starts=figures.starts,
        failures=figures.failures,
        queue=figures.queue,
        cpu_percent=figures.cpu_percent,
        memory_total_mib=figures.memory_total_mib,
        memory_used_mib=figures.memory_used_mib,
        memory_free_mib=figures.memory_free_mib,
        logins=figures.logins,
        login_p50_ms=quantile_ms(figures.login_buckets, 0.5),
        login_p99_ms=quantile_ms(figures.login_buckets, 0.99),
    )


async def list_figures(call: ApiCall[NoBody, FigureQuery]) -> web.Response:
    """Return this node's figures, compressed: a day of them is 0.5 MB of repeated words."""
    parts = call.parts
    found = FigureList(
        node=parts.facts().name,
        now=int(parts.events.clock.now().timestamp()),
        points=[view(point) for point in parts.figures(call.query.since)],
    )
    answer = web.Response(body=found.model_dump_json().encode(), content_type=JSON)
    answer.enable_compression()
    return answer


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/figures",
        handler=list_figures,
        summary="Show what this node measured in the last day",
        tag="nodes",
        body=NoBody,
        query=FigureQuery,
        answer=FigureList,
    ),
)
