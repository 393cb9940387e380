"""What is believed of a member: one table, no I/O.

Rule 1: every change of a member's state is a row of TRANSITIONS; what has no row changes nothing.
Rule 2: evidence about an older incarnation has no row; only the member itself starts a newer one.
Rule 3: of two states of one incarnation the higher one wins (alive, suspect, dead, left). So all
members come to believe the same, in whatever order the evidence reaches them.
"""

from enum import StrEnum
from typing import Final

from qvdnode.wire.swim import Incarnation, MemberState


class Evidence(StrEnum):
    """What somebody says, and whether about the incarnation that is known or a newer one."""

    SAME_SUSPECT = "same_suspect"
    """The member as it is known did not answer."""
    SAME_DEAD = "same_dead"
    """The member as it is known did not answer for too long."""
    SAME_LEFT = "same_left"
    """The member as it is known said goodbye."""
    NEWER_ALIVE = "newer_alive"
    """It refuted a suspicion, changed, or its process was started anew."""
    NEWER_SUSPECT = "newer_suspect"
    """It did one of these, and did not answer somebody since."""
    NEWER_DEAD = "newer_dead"
    """It did one of these, and did not answer for too long since."""
    NEWER_LEFT = "newer_left"
    """It did one of these, and said goodbye since."""


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
    """The state after somebody said this about that incarnation, or None if nothing changes."""
    if about < known:
        return None
    evidence = _EVIDENCE.get((said, about > known))
    return None if evidence is None else TRANSITIONS[state].get(evidence)
