"""The state that this member believes another one to be in: one table, no I/O.

Rule 1: every change of a member's state is a row of TRANSITIONS; what has no row changes nothing.
Rule 2: evidence about an older incarnation has no row; only the member itself starts a newer one.
Rule 3: of two states of one incarnation the higher one wins (alive, suspect, dead, left). So all
members reach the same state, in whatever order the evidence arrives.
"""

from enum import StrEnum
from typing import Final

from qvdnode.wire.swim import Incarnation, MemberState


class Evidence(StrEnum):
    """A reported state, of the incarnation that is known (SAME) or of a newer one (NEWER)."""

    SAME_SUSPECT = "same_suspect"
    """The known incarnation did not answer."""
    SAME_DEAD = "same_dead"
    """The known incarnation did not answer for too long."""
    SAME_LEFT = "same_left"
    """The known incarnation left."""
    NEWER_ALIVE = "newer_alive"
    """The member refuted a suspicion, changed its metadata, or its process restarted."""
    NEWER_SUSPECT = "newer_suspect"
    """It did one of these, and did not answer since."""
    NEWER_DEAD = "newer_dead"
    """It did one of these, and did not answer for too long since."""
    NEWER_LEFT = "newer_left"
    """It did one of these, and left since."""


S = MemberState
E = Evidence

_NEWER: Final = {
    E.NEWER_ALIVE: S.ALIVE,
    E.NEWER_SUSPECT: S.SUSPECT,
    E.NEWER_DEAD: S.DEAD,
    E.NEWER_LEFT: S.LEFT,
}

TRANSITIONS: Final[dict[MemberState, dict[Evidence, MemberState]]] = {
    S.ALIVE: {
        E.SAME_SUSPECT: S.SUSPECT,
        E.SAME_DEAD: S.DEAD,
        E.SAME_LEFT: S.LEFT,
        **_NEWER,
    },
    S.SUSPECT: {E.SAME_DEAD: S.DEAD, E.SAME_LEFT: S.LEFT, **_NEWER},
    S.DEAD: {E.SAME_LEFT: S.LEFT, **_NEWER},
    S.LEFT: {**_NEWER},
}

_EVIDENCE: Final = {
    (S.SUSPECT, False): E.SAME_SUSPECT,
    (S.DEAD, False): E.SAME_DEAD,
    (S.LEFT, False): E.SAME_LEFT,
    (S.ALIVE, True): E.NEWER_ALIVE,
    (S.SUSPECT, True): E.NEWER_SUSPECT,
    (S.DEAD, True): E.NEWER_DEAD,
    (S.LEFT, True): E.NEWER_LEFT,
}


def step(
    state: MemberState, known: Incarnation, said: MemberState, about: Incarnation
) -> MemberState | None:
    """Return the state after a report of state `said` for incarnation `about`; None: no change."""
    if about < known:
        return None
    evidence = _EVIDENCE.get((said, about > known))
    return None if evidence is None else TRANSITIONS[state].get(evidence)
