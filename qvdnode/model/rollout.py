"""Rollouts: one table of states, which desktops get the new version, and when it goes on. Pure.

Rule 1: every change of a rollout's state is a row of TRANSITIONS.
Rule 2: only an administrator makes one go on that stopped itself.

A rollout moves the desktops of an image to a version in stages. Each stage adds those that its
selector names, at their next start, and soaks: when its time is over without a breach of the gate
the next one begins. After the last the version is the image's head.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Final

from qvdnode.model.errors import Conflict, Invalid
from qvdnode.model.ids import VmId

BUCKETS: Final = 10_000
STAGES_MAX: Final = 20
SOAK_S_MAX: Final = 366 * 24 * 3600
_SELECTOR: Final = re.compile(
    r"(?P<percent>\d{1,3}(?:\.\d{1,2})?)%|(?P<kind>user|tag|host):(?P<name>[^\s=,]{1,129})"
)


class RolloutState(StrEnum):
    """How a rollout goes."""

    RUNNING = "running"
    PAUSED = "paused"
    """Covered desktops get the new version; no stage begins by itself."""
    DONE = "done"
    """The new version is the head."""
    ROLLED_BACK = "rolled_back"
    """The gate was breached: all desktops get the old version, and imports make no new head."""
    ABORTED = "aborted"
    """An administrator gave it up: all desktops get the old version."""


class RolloutEvent(StrEnum):
    """What happens to a rollout."""

    SOAKED = "soaked"
    """The stage's time is over, and there is another one."""
    FINISHED = "finished"
    """The last stage's time is over."""
    BREACHED = "breached"
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"


TRANSITIONS: Final[dict[RolloutState, dict[RolloutEvent, RolloutState]]] = {
    RolloutState.RUNNING: {
        RolloutEvent.SOAKED: RolloutState.RUNNING,
        RolloutEvent.FINISHED: RolloutState.DONE,
        RolloutEvent.BREACHED: RolloutState.ROLLED_BACK,
        RolloutEvent.PAUSE: RolloutState.PAUSED,
        RolloutEvent.ABORT: RolloutState.ABORTED,
    },
    RolloutState.PAUSED: {
        RolloutEvent.BREACHED: RolloutState.ROLLED_BACK,
        RolloutEvent.RESUME: RolloutState.RUNNING,
        RolloutEvent.ABORT: RolloutState.ABORTED,
    },
    RolloutState.ROLLED_BACK: {
        RolloutEvent.RESUME: RolloutState.RUNNING,
        RolloutEvent.ABORT: RolloutState.ABORTED,
    },
    RolloutState.DONE: {},
    RolloutState.ABORTED: {},
}
ACTIVE: Final = frozenset({RolloutState.RUNNING, RolloutState.PAUSED})
"""States in which desktops get the new version."""
HOLDING: Final = frozenset({*ACTIVE, RolloutState.ROLLED_BACK})
"""States in which an import does not become the head, and no other rollout begins."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: which desktops it adds, and for how long it is watched."""

    selector: str
    """`5%`, `user:LOGIN@TENANT`, `tag:TAG` or `host:NODE`, the node with the user's home."""
    soak_s: int


@dataclass(frozen=True, slots=True)
class Gate:
    """What the starts with the new version must be like."""

    starts_min: int = 1
    """How many must have become ready before a next stage begins, and how many there must be
    before shares of them mean anything."""
    failures_max_pct: int = 20
    """Share of starts that failed."""
    crashes_max_pct: int = 20
    """Share of started desktops that ended by an error."""
    ready_max_s: int = 0
    """Time that 95 % of the starts must take at most; 0 for any."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The starts with the new version since the rollout began, or was resumed."""

    started: int = 0
    ready: int = 0
    failed: int = 0
    crashed: int = 0
    ready_p95_s: float | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A desktop, as selectors see it."""

    vm_id: VmId
    user: str
    """LOGIN@TENANT."""
    tags: frozenset[str] = frozenset()
    host: str = ""
    """The name of the node with the user's home; empty before the first start."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """What becomes of desktops that run on another version than they would start with.

    Seconds since they should move; 0 for never.
    """

    soft_s: int = 0
    """Then one is stopped as soon as nobody uses it."""
    hard_s: int = 0
    """Then one is stopped in any case."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout of one image."""

    id: int
    from_version: int
    to_version: int
    stages: tuple[Stage, ...]
    gate: Gate
    expiry: Expiry
    state: RolloutState
    stage: int
    """The index of the current stage."""

    def covers(self, member: Member) -> bool:
        """Whether the desktop is in the current stage or an earlier one."""
        return any(
            selects(stage.selector, member, self.id) for stage in self.stages[: self.stage + 1]
        )

    def version_of(self, member: Member, head: int) -> int:
        """The version that the desktop starts with."""
        return self.to_version if self.state in ACTIVE and self.covers(member) else head


def step(state: RolloutState, event: RolloutEvent) -> RolloutState:
    """The state after an event; raises Conflict where that cannot happen."""
    target = TRANSITIONS[state].get(event)
    if target is None:
        raise Conflict(f"The rollout is {state.value.replace('_', ' ')}: it cannot {event.value}.")
    return target


def next_event(
    rollout: Rollout, evidence: Evidence, in_stage_s: float
) -> tuple[RolloutEvent, str] | None:
    """What happens by itself now, with the reason for people; None for nothing."""
    if rollout.state not in ACTIVE:
        return None
    breach = breach_of(rollout.gate, evidence)
    if breach is not None:
        return RolloutEvent.BREACHED, breach
    if rollout.state is RolloutState.PAUSED or waits_for(rollout, evidence, in_stage_s) is not None:
        return None
    stage = rollout.stages[rollout.stage]
    told = f"{stage.selector} soaked for {stage.soak_s} s with {evidence.ready} sound starts"
    last = rollout.stage + 1 == len(rollout.stages)
    return (RolloutEvent.FINISHED if last else RolloutEvent.SOAKED), told


def waits_for(rollout: Rollout, evidence: Evidence, in_stage_s: float) -> str | None:
    """What the current stage waits for, for people; None when it is over."""
    left_s = rollout.stages[rollout.stage].soak_s - in_stage_s
    if left_s > 0:
        return f"{ceil(left_s)} s until the stage has soaked"
    missing = rollout.gate.starts_min - evidence.ready
    if missing > 0:
        return f"{missing} more sound starts with version {rollout.to_version}"
    return None


def breach_of(gate: Gate, evidence: Evidence) -> str | None:
    """How the starts are worse than the gate allows, for people; None when they are not."""
    over = evidence.ready + evidence.failed
    if over and over >= gate.starts_min:
        if 100 * evidence.failed > gate.failures_max_pct * over:
            return f"{evidence.failed} of {over} starts failed"
        if 100 * evidence.crashed > gate.crashes_max_pct * over:
            return f"{evidence.crashed} of {over} desktops ended by an error"
        slow_s = evidence.ready_p95_s
        if gate.ready_max_s and slow_s is not None and slow_s > gate.ready_max_s:
            return (
                f"starts took {slow_s:.1f} s (95 %), and at most {gate.ready_max_s} s are allowed"
            )
    return None


def selects(selector: str, member: Member, rollout_id: int) -> bool:
    """Whether a selector names a desktop; raises Invalid for a bad one.

    A percentage goes by a bucket of rollout and desktop, so that a greater one only adds desktops.
    """
    found = _parsed(selector)
    if found["percent"] is not None:
        return bucket_of(rollout_id, member.vm_id) < float(found["percent"]) * BUCKETS / 100
    match found["kind"]:
        case "user":
            return found["name"] == member.user
        case "tag":
            return found["name"] in member.tags
        case _:
            return found["name"] == member.host


def bucket_of(rollout_id: int, vm_id: VmId) -> int:
    """The place of a desktop in a rollout, from 0 to BUCKETS - 1."""
    digest = hashlib.sha256(f"{rollout_id}:{vm_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


def check(stages: Sequence[Stage]) -> None:
    """Raise Invalid unless these can be the stages of a rollout: the last adds all desktops."""
    if not 1 <= len(stages) <= STAGES_MAX:
        raise Invalid(f"A rollout has 1 to {STAGES_MAX} stages.", field="stages")
    for stage in stages:
        found = _parsed(stage.selector)
        if found["percent"] is not None and not 0 < float(found["percent"]) <= 100:
            raise Invalid(f"{stage.selector} is not a share: write 0.01% to 100%.", field="stages")
        if not 0 <= stage.soak_s <= SOAK_S_MAX:
            raise Invalid(f"A stage soaks for 0 to {SOAK_S_MAX} s.", field="stages")
    last = _parsed(stages[-1].selector)["percent"]
    if last is None or float(last) != 100:
        raise Invalid("The last stage must be 100%, which adds all desktops.", field="stages")


def _parsed(selector: str) -> re.Match[str]:
    found = _SELECTOR.fullmatch(selector)
    if found is None:
        raise Invalid(
            f"{selector!r} names no desktops: write 5%, user:LOGIN@TENANT, tag:TAG or host:NODE",
            field="stages",
        )
    return found


class Ending(StrEnum):
    """Why a desktop on another version is stopped."""

    UNUSED = "unused"
    OVERDUE = "overdue"


def ending_of(expiry: Expiry, stale_s: float, *, in_use: bool) -> Ending | None:
    """Whether a desktop is stopped that should have moved `stale_s` ago; None for not yet."""
    if expiry.hard_s and stale_s >= expiry.hard_s:
        return Ending.OVERDUE
    if expiry.soft_s and stale_s >= expiry.soft_s and not in_use:
        return Ending.UNUSED
    return None
