import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.cluster.core.placement import (
    Candidate,
    Load,
    Refused,
    Wish,
    image_bit,
    place,
    rank,
    refusal,
    verdict,
)
from qvdnode.model.ids import NodeId

IDLE = Load(
    node_id=NodeId(1),
    capacity_mib=64_512,
    promised_mib=0,
    guests=0,
    guests_max=200,
    starts_waiting=0,
    starts_waiting_max=100,
    start_tokens=6,
    start_tokens_free=6,
    cores=16,
    run_queue=0.0,
    drivers=frozenset({"lxc"}),
)
WISH = Wish(memory_mib=1024, driver="lxc")


def node(number: int, **figures: object) -> Load:
    return replace(IDLE, node_id=NodeId(number), **figures)  # type: ignore[arg-type]  # any field


def order(*candidates: Candidate, seed: int = 1, sample: int = 2) -> list[int]:
    placement = place(WISH, candidates, random.Random(seed), sample=sample)
    return [ranked.node_id for ranked in placement.ranked]


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        ({"suspect": True}, "does not answer"),
        ({"loop_lag_s": 2.5}, "its process is 2.5 s late"),
        ({"draining": True}, "administrator empties it"),
        ({"drivers": frozenset({"kvm"})}, "no driver lxc"),
        ({"promised_mib": 64_000}, "512 MiB of memory are left, 1024 are needed"),
        ({"promised_mib": 70_000}, "0 MiB of memory are left"),
        ({"guests": 200}, "runs 200 desktops"),
        ({"start_tokens_free": 0, "starts_waiting": 100}, "100 desktops wait"),
        (
            {"start_tokens_free": 0, "starts_waiting": 1, "starts_waiting_max": 1},
            "1 desktop waits",
        ),
        ({"memory_full_pct": 5.1}, "wait for memory"),
    ],
)
def test_a_node_that_cannot_is_refused_with_the_reason(
    figures: dict[str, object], why: str
) -> None:
    placement = place(WISH, [Candidate(node(1, **figures))], random.Random(1))
    assert placement.ranked == ()
    assert why in placement.refused[0].because


def test_a_queue_with_a_free_token_is_no_reason_to_refuse() -> None:
    assert refusal(WISH, node(1, starts_waiting=100, start_tokens_free=1)) is None


def test_a_version_of_an_image_has_a_bit_that_a_node_has_or_has_not() -> None:
    bit = image_bit(7, 2)
    assert 0 <= bit < 64
    assert node(1, images=1 << bit).may_have(bit)
    assert not node(1, images=1 << image_bit(7, 3)).may_have(bit)


def test_one_node_is_its_own_best() -> None:
    assert order(Candidate(node(1))) == [1]


def test_the_home_of_the_user_outweighs_a_busy_node() -> None:
    busy = node(1, promised_mib=40_000, run_queue=8.0)
    assert order(Candidate(node(2)), Candidate(busy, has_home=True)) == [1, 2]


def test_the_node_that_ran_it_last_is_always_looked_at() -> None:
    others = [Candidate(node(number)) for number in range(2, 30)]
    assert order(*others, Candidate(node(1), ran_last=True))[0] == 1


def test_a_node_with_the_image_is_always_looked_at() -> None:
    others = [Candidate(node(number)) for number in range(2, 30)]
    assert 1 in order(*others, Candidate(node(1), has_image=True))


@pytest.mark.parametrize(
    "worse",
    [
        {"promised_mib": 30_000},
        {"run_queue": 12.0},
        {"cpu_some_pct": 50.0},
        {"memory_full_pct": 4.0},
        {"io_some_pct": 80.0},
        {"start_tokens_free": 1},
        {"loop_lag_s": 0.2},
    ],
)
def test_every_burden_lowers_the_score(worse: dict[str, object]) -> None:
    assert rank(Candidate(node(1, **worse))).score < rank(Candidate(IDLE)).score


def test_desktops_of_one_pool_are_spread() -> None:
    assert rank(Candidate(IDLE, same_pool_share=0.5)).score < rank(Candidate(IDLE)).score


def test_the_reasons_are_told() -> None:
    assert "home here +6.0" in rank(Candidate(IDLE, has_home=True)).because


def test_a_storm_on_old_figures_is_spread_over_the_farm() -> None:
    rng = random.Random(7)
    farm = [Candidate(node(number, run_queue=number / 10)) for number in range(1, 26)]
    firsts = [place(WISH, farm, rng).ranked[0].node_id for _ in range(500)]
    assert max(firsts.count(NodeId(n)) for n in range(1, 26)) < 100


LOADS = st.builds(
    node,
    st.integers(1, 50),
    promised_mib=st.integers(0, 70_000),
    guests=st.integers(0, 250),
    start_tokens_free=st.integers(0, 6),
    starts_waiting=st.integers(0, 120),
    run_queue=st.floats(0, 100),
    memory_full_pct=st.floats(0, 100),
    suspect=st.booleans(),
    draining=st.booleans(),
)
CANDIDATES = st.lists(
    st.builds(Candidate, LOADS, ran_last=st.booleans(), has_image=st.booleans()),
    unique_by=lambda c: c.load.node_id,
)


@given(CANDIDATES, st.integers(1, 4), st.integers())
def test_every_ranked_node_can_take_the_vm(
    candidates: list[Candidate], sample: int, seed: int
) -> None:
    placement = place(WISH, candidates, random.Random(seed), sample=sample)
    loads = {c.load.node_id: c.load for c in candidates}
    ranked = [r.node_id for r in placement.ranked]
    assert all(refusal(WISH, loads[n]) is None for n in ranked)
    assert len(set(ranked)) == len(ranked)
    assert not set(ranked) & {r.node_id for r in placement.refused}
    assert bool(ranked) == any(refusal(WISH, load) is None for load in loads.values())
    scores = [r.score for r in placement.ranked]
    assert scores == sorted(scores, reverse=True)


def test_one_node_is_judged_as_a_choice_would_judge_it() -> None:
    free = Candidate(node(1))
    assert verdict(WISH, free) == rank(free)
    assert verdict(WISH, Candidate(node(2, draining=True))) == Refused(
        NodeId(2), "an administrator empties it"
    )
