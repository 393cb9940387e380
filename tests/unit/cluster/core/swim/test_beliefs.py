import itertools
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from qvdnode.cluster.core.swim.beliefs import TRANSITIONS, Evidence, step
from qvdnode.wire.swim import Incarnation, MemberState

S = MemberState
LIVES = [Incarnation(epoch, b"instance", counter) for epoch in (1, 2) for counter in (0, 1)]
CLAIMS = st.lists(st.tuples(st.sampled_from(S), st.sampled_from(LIVES)), max_size=8)


def after(claims: list[tuple[S, Incarnation]]) -> tuple[S, Incarnation]:
    state, known = S.ALIVE, LIVES[0]
    for said, about in claims:
        new = step(state, known, said, about)
        if new is not None:
            state, known = new, about
    return state, known


def test_every_state_has_a_row_and_a_way_back_to_life() -> None:
    assert set(TRANSITIONS) == set(S)
    assert all(row[Evidence.NEWER_ALIVE] is S.ALIVE for row in TRANSITIONS.values())


def test_only_a_newer_incarnation_leads_back() -> None:
    for state, row in TRANSITIONS.items():
        for evidence, target in row.items():
            assert target > state or evidence.startswith("newer")


def test_an_older_incarnation_changes_nothing() -> None:
    for state, said in itertools.product(S, S):
        assert step(state, LIVES[2], said, LIVES[1]) is None


@given(CLAIMS, st.randoms(use_true_random=False))
def test_all_come_to_believe_the_same_in_whatever_order(
    claims: list[tuple[S, Incarnation]], chance: Random
) -> None:
    shuffled = claims.copy()
    chance.shuffle(shuffled)
    assert after(claims) == after(shuffled)
