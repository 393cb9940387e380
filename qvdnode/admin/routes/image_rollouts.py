"""/images/{name}/rollout: a new version in stages; /vms/{id}/tags: which stage takes a VM."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import Field

from qvdnode.admin.endpoint import AnswerModel, AnyEndpoint, ApiCall, B, Endpoint, Handler, Q
from qvdnode.admin.fields import Id, Note
from qvdnode.admin.reading import NoBody, NoQuery, Query, RequestBody
from qvdnode.db.rollouts import KeptRollout, Place
from qvdnode.model import rollout as rules
from qvdnode.model.errors import Conflict
from qvdnode.model.ids import VmId
from qvdnode.model.rollout import (
    SOAK_S_MAX,
    STAGES_MAX,
    Evidence,
    Expiry,
    Gate,
    RolloutEvent,
    RolloutState,
    Stage,
)

Share = Annotated[int, Field(ge=0, le=100)]
Seconds = Annotated[int, Field(ge=0, le=SOAK_S_MAX)]
Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
PLACES_MAX: Final = 10_000


class StageFields(RequestBody):
    """One stage."""

    selector: str = Field(
        min_length=2,
        max_length=140,
        description="5%, user:LOGIN@TENANT, tag:TAG or host:NODE, the node with the user's home.",
    )
    soak_s: Seconds = Field(default=0, description="For how long the stage is watched, at least.")


class RolloutDraft(RequestBody):
    """A rollout to be."""

    version: Id
    stages: list[StageFields] = Field(
        min_length=1, max_length=STAGES_MAX, description="The last one must be 100%."
    )
    starts_min: int = Field(
        default=1, ge=0, le=100_000, description="Sound starts before a next stage begins."
    )
    failures_max_pct: Share = Field(default=20, description="Starts that may fail.")
    crashes_max_pct: Share = Field(default=20, description="Desktops that may end by an error.")
    ready_max_s: Seconds = Field(
        default=0, description="Time in which 95 % of the starts must be ready; 0 for any."
    )
    soft_s: Seconds = Field(
        default=0,
        description="Seconds after which a desktop on the other version is stopped once it is not"
        " in use; 0 for never.",
    )
    hard_s: Seconds = Field(default=0, description="The same for one that is in use.")


class Why(RequestBody):
    """What an administrator says about a step."""

    reason: Note = ""


class PlacesQuery(Query):
    """How many desktops are listed."""

    limit: int = Field(default=100, ge=0, le=PLACES_MAX)


class StageView(AnswerModel):
    """One stage."""

    selector: str
    soak_s: int
    state: str
    """over, now or waiting."""


class PlaceView(AnswerModel):
    """Where one desktop is."""

    id: int
    name: str
    user: str
    node: str | None
    state: str
    version: int | None
    """What it runs on; null when it does not run."""
    next_version: int
    """What it starts with the next time."""
    stale_since: datetime | None
    """Since when it should run on another version."""


class RolloutView(AnswerModel):
    """A rollout: how it goes, and who is where."""

    id: int
    image: str
    from_version: int
    to_version: int
    state: RolloutState
    reason: str
    """Why it is in this state."""
    waits_for: str | None
    """What the next step waits for; null when there is none."""
    stages: list[StageView]
    started_by: str
    started_at: datetime
    moved_at: datetime
    """Since when state and stage are what they are."""
    starts: int
    """Starts with the new version that count."""
    sound: int
    failed: int
    crashed: int
    ready_p95_s: float | None
    desktops: int
    covered: int
    """Desktops that start with the new version."""
    on_new: int
    """Running desktops."""
    on_old: int
    """Running desktops."""
    places: list[PlaceView]
    """At most `limit`, those that run on another version than they should first."""


class Tags(RequestBody):
    """The tags of a VM."""

    tags: list[Tag] = Field(max_length=50)


class TagsView(AnswerModel):
    """The tags of a VM."""

    tags: list[str]


async def start_rollout(call: ApiCall[RolloutDraft, NoQuery]) -> RolloutView:
    """Begin a rollout from the head; raises Conflict while another one is not over."""
    body, catalogue = call.body, call.parts.catalogue
    image = await catalogue.images.by_name(call.name())
    kept = await catalogue.rollouts.begin(
        image.id,
        body.version,
        [Stage(stage.selector, stage.soak_s) for stage in body.stages],
        Gate(body.starts_min, body.failures_max_pct, body.crashes_max_pct, body.ready_max_s),
        Expiry(body.soft_s, body.hard_s),
        call.administrator().name,
    )
    call.changed("image", image.id, name=image.name, version=body.version)
    return await _view(call, kept, image.name, 0)


async def show_rollout(call: ApiCall[NoBody, PlacesQuery]) -> RolloutView:
    """Return the newest rollout of an image."""
    catalogue = call.parts.catalogue
    image = await catalogue.images.by_name(call.name())
    kept = await catalogue.rollouts.latest(image.id)
    return await _view(call, kept, image.name, call.query.limit)


async def pause_rollout(call: ApiCall[Why, NoQuery]) -> RolloutView:
    """Begin no further stage; those that are covered stay so."""
    return await _change(call, RolloutEvent.PAUSE)


async def resume_rollout(call: ApiCall[Why, NoQuery]) -> RolloutView:
    """Go on; one that was rolled back begins again with its first stage."""
    return await _change(call, RolloutEvent.RESUME)


async def abort_rollout(call: ApiCall[Why, NoQuery]) -> RolloutView:
    """Give it up: all desktops start with the head again, and imports make a new head."""
    return await _change(call, RolloutEvent.ABORT)


async def show_tags(call: ApiCall[NoBody, NoQuery]) -> TagsView:
    """Return the tags of a VM."""
    return TagsView(tags=list(await call.parts.catalogue.rollouts.tags(VmId(call.id()))))


async def set_tags(call: ApiCall[Tags, NoQuery]) -> TagsView:
    """Replace the tags of a VM."""
    vm = await call.parts.vms.get(VmId(call.id()))
    await call.parts.catalogue.rollouts.set_tags(vm.id, call.body.tags)
    call.changed("vm", vm.id, name=vm.name, user=vm.user_login, tags=call.body.tags)
    return TagsView(tags=list(await call.parts.catalogue.rollouts.tags(vm.id)))


async def _change(call: ApiCall[Why, NoQuery], event: RolloutEvent) -> RolloutView:
    catalogue = call.parts.catalogue
    image = await catalogue.images.by_name(call.name())
    said = call.body.reason or f"{call.administrator().name} asked for it"
    kept = await catalogue.rollouts.change(image.id, event, said)
    call.changed("image", image.id, name=image.name, rollout=event.value, reason=said)
    return await _view(call, kept, image.name, 0)


async def _view(call: ApiCall[B, Q], kept: KeptRollout, image: str, limit: int) -> RolloutView:
    rollouts, rollout = call.parts.catalogue.rollouts, kept.rollout
    evidence = await rollouts.evidence(rollout.id)
    places = await rollouts.places(kept.image_id)
    shown = [_place_view(place, kept) for place in places]
    shown.sort(key=lambda place: (place.version in {None, place.next_version}, place.id))
    running = [place for place in shown if place.version is not None]
    return RolloutView(
        id=rollout.id,
        image=image,
        from_version=rollout.from_version,
        to_version=rollout.to_version,
        state=rollout.state,
        reason=kept.reason,
        waits_for=_waits_for(kept, evidence),
        stages=[
            StageView(
                selector=stage.selector,
                soak_s=stage.soak_s,
                state=_stage_state(kept, number),
            )
            for number, stage in enumerate(rollout.stages)
        ],
        started_by=kept.started_by,
        started_at=kept.started_at,
        moved_at=kept.moved_at,
        starts=evidence.started,
        sound=evidence.ready,
        failed=evidence.failed,
        crashed=evidence.crashed,
        ready_p95_s=evidence.ready_p95_s,
        desktops=len(shown),
        covered=sum(place.next_version == rollout.to_version for place in shown),
        on_new=sum(place.version == rollout.to_version for place in running),
        on_old=sum(place.version != rollout.to_version for place in running),
        places=shown[:limit],
    )


def _waits_for(kept: KeptRollout, evidence: Evidence) -> str | None:
    rollout = kept.rollout
    if rollout.state is not RolloutState.RUNNING:
        return None
    return rules.waits_for(rollout, evidence, kept.in_stage_s) or "the next look of a node"


def _stage_state(kept: KeptRollout, number: int) -> str:
    rollout = kept.rollout
    if number < rollout.stage or rollout.state is RolloutState.DONE:
        return "over"
    return "now" if number == rollout.stage and rollout.state in rules.ACTIVE else "waiting"


def _place_view(place: Place, kept: KeptRollout) -> PlaceView:
    return PlaceView(
        id=place.member.vm_id,
        name=place.name,
        user=place.member.user,
        node=place.node,
        state=place.state,
        version=place.version,
        next_version=kept.rollout.version_of(place.member, kept.head_version),
        stale_since=place.stale_at,
    )


def _step(verb: str, handler: Handler[Why, NoQuery], summary: str) -> AnyEndpoint:
    return Endpoint(
        method="POST",
        path=f"/images/{{name}}/rollout/{verb}",
        handler=handler,
        summary=summary,
        tag="images",
        body=Why,
        query=NoQuery,
        answer=RolloutView,
        errors=(Conflict,),
        action=f"image.rollout-{verb}",
    )


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    Endpoint(
        method="POST",
        path="/images/{name}/rollout",
        handler=start_rollout,
        summary="Begin to roll a version out in stages",
        tag="images",
        body=RolloutDraft,
        query=NoQuery,
        answer=RolloutView,
        status=201,
        errors=(Conflict,),
        action="image.rollout",
    ),
    Endpoint(
        method="GET",
        path="/images/{name}/rollout",
        handler=show_rollout,
        summary="Show how a rollout goes, and which desktop is on which version",
        tag="images",
        body=NoBody,
        query=PlacesQuery,
        answer=RolloutView,
    ),
    _step("pause", pause_rollout, "Begin no further stage of a rollout"),
    _step("resume", resume_rollout, "Let a rollout go on"),
    _step("abort", abort_rollout, "Give a rollout up"),
    Endpoint(
        method="GET",
        path="/vms/{id}/tags",
        handler=show_tags,
        summary="Show the tags of a VM",
        tag="vms",
        body=NoBody,
        query=NoQuery,
        answer=TagsView,
    ),
    Endpoint(
        method="PUT",
        path="/vms/{id}/tags",
        handler=set_tags,
        summary="Set the tags of a VM",
        tag="vms",
        body=Tags,
        query=NoQuery,
        answer=TagsView,
        action="vm.tags",
    ),
)
