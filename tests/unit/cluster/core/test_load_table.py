import random
from dataclasses import replace

import pytest

from qvdnode.cluster.core.load_table import INTERVAL_S, REPEAT_S, LoadTable, worth_telling
from qvdnode.wire.load_record import RECORD, LoadRecord, records_per_datagram

ROOM = records_per_datagram(1371)
QUIET = LoadRecord(
    node=1,
    epoch=0,
    counter=0,
    age_tenths=0,
    capacity_mib=20_000,
    promised_mib=1000,
    guests=1,
    guests_max=100,
    starts_waiting=0,
    starts_waiting_max=50,
    start_tokens=6,
    start_tokens_free=6,
    cores=2,
    run_queue_tenths=1,
    cpu_some_pct=0,
    memory_full_pct=0,
    io_some_pct=0,
    loop_lag_hundredths=0,
    flags=2,
    images=1,
)


def table(epoch: int = 1, seed: int = 1) -> LoadTable:
    return LoadTable(epoch, random.Random(seed))


def told(nodes: LoadTable, now_s: float, members: int = 2) -> list[LoadRecord]:
    return list(nodes.datagram(ROOM, members, now_s))


@pytest.mark.parametrize(
    ("change", "worth"),
    [
        ({}, False),
        ({"promised_mib": 1900}, False),
        ({"promised_mib": 2100}, True),
        ({"start_tokens_free": 5}, True),
        ({"run_queue_tenths": 2}, False),
        ({"run_queue_tenths": 3}, True),
        ({"loop_lag_hundredths": 100}, True),
        ({"memory_full_pct": 6}, True),
        ({"flags": 3}, True),
        ({"images": 3}, True),
        ({"guests": 2}, False),
    ],
)
def test_a_change_is_told_before_its_time_when_it_matters(
    change: dict[str, int], worth: bool
) -> None:
    assert worth_telling(QUIET, replace(QUIET, **change)) is worth


def test_own_figures_get_the_epoch_and_a_growing_counter() -> None:
    nodes = table(epoch=4)
    nodes.publish(QUIET, 0.0)
    nodes.publish(replace(QUIET, promised_mib=5000), 1.0)
    assert nodes.known[1].record.version == (4, 2)
    assert nodes.known[1].record.promised_mib == 5000


def test_unchanged_figures_are_told_again_after_a_while() -> None:
    nodes = table()
    nodes.publish(QUIET, 0.0)
    nodes.publish(QUIET, REPEAT_S - 1)
    assert nodes.known[1].record.counter == 1
    nodes.publish(QUIET, REPEAT_S)
    assert nodes.known[1].record.counter == 2


def test_the_newer_record_wins_whatever_the_order() -> None:
    nodes = table()
    old, new, next_life = (
        replace(QUIET, node=2, epoch=epoch, counter=counter)
        for epoch, counter in ((1, 8), (1, 9), (2, 1))
    )
    nodes.receive([new, old], 0.0)
    assert nodes.known[2].record == new
    nodes.receive([next_life], 0.0)
    nodes.receive([new], 0.0)
    assert nodes.known[2].record == next_life


def test_what_others_say_of_this_node_is_ignored() -> None:
    nodes = table()
    nodes.publish(QUIET, 0.0)
    nodes.receive([replace(QUIET, epoch=9, promised_mib=9)], 0.0)
    assert nodes.known[1].record.promised_mib == 1000


def test_the_age_grows_on_the_way() -> None:
    first, second, third = table(), table(), table()
    first.publish(QUIET, 100.0)
    second.receive(told(first, 101.0), 7.0)
    third.receive(told(second, 9.0), 0.0)
    assert third.known[1].age_s(0.5) == pytest.approx(3.5)


def test_a_record_is_passed_on_some_times_only() -> None:
    nodes = table()
    nodes.publish(QUIET, 0.0)
    sent = [told(nodes, 0.0, members=4) for _ in range(30)]
    assert sum(map(len, sent)) == 9


def test_what_was_told_least_often_goes_first() -> None:
    nodes = table()
    nodes.receive([replace(QUIET, node=node, counter=1) for node in range(2, 2 + ROOM)], 0.0)
    told(nodes, 0.0)
    nodes.receive([replace(QUIET, node=99, counter=1)], 0.0)
    assert 99 in {record.node for record in told(nodes, 0.0)}


def test_a_main_loop_that_hangs_is_told_as_late_though_it_says_nothing() -> None:
    nodes = table()
    nodes.publish(QUIET, 0.0)
    nodes.tick(1.0)
    assert nodes.known[1].record.loop_lag_hundredths == 0
    nodes.tick(2.5)
    assert nodes.known[1].record.loop_lag_hundredths == 250
    nodes.publish(QUIET, 3.0)
    assert nodes.known[1].record.loop_lag_hundredths == 0


def test_nodes_that_are_gone_are_forgotten_but_not_this_one() -> None:
    nodes = table()
    nodes.publish(QUIET, 0.0)
    nodes.receive([replace(QUIET, node=node, counter=1) for node in (2, 3)], 0.0)
    nodes.keep([3])
    assert set(nodes.known) == {1, 3}


def test_an_old_record_of_a_node_that_is_gone_does_not_bring_it_back() -> None:
    nodes = table()
    old = replace(QUIET, node=2, counter=5)
    nodes.receive([old], 0.0)
    nodes.keep([])
    nodes.receive([old], 1.0)
    assert not nodes.known
    nodes.receive([replace(old, epoch=1, counter=1)], 2.0)
    assert set(nodes.known) == {2}


def test_a_raised_epoch_orders_what_is_told_from_then_on() -> None:
    nodes = table(epoch=1)
    nodes.publish(QUIET, 0.0)
    nodes.raise_epoch(7)
    nodes.publish(replace(QUIET, flags=3), 1.0)
    assert nodes.known[1].record.version == (7, 2)


@pytest.mark.parametrize(("loss", "age_limit_s"), [(0.0, 4.0), (0.3, 6.0)])
def test_25_nodes_know_each_other_within_seconds_and_a_budget(
    loss: float, age_limit_s: float
) -> None:
    """All figures of all nodes change every second; the paper's goal for the budget is 6.5 kB/s."""
    rng = random.Random(3)
    farm = [table(seed=number) for number in range(25)]
    seconds, sent_bytes, now_s = 30, 0, 0.0
    for step in range(int(seconds / INTERVAL_S)):
        now_s = step * INTERVAL_S
        for number, nodes in enumerate(farm):
            if step % 5 == number % 5:
                nodes.publish(
                    replace(QUIET, node=number, promised_mib=rng.randrange(20_000)), now_s
                )
            records = told(nodes, now_s, members=25)
            sent_bytes += len(records) * RECORD.size + 39
            if records and rng.random() >= loss:
                farm[rng.randrange(25)].receive(records, now_s)
    ages = sorted(known.age_s(now_s) for nodes in farm for known in nodes.known.values())
    assert len(ages) == 25 * 25
    assert ages[int(len(ages) * 0.99)] <= age_limit_s
    assert sent_bytes / seconds / 25 <= 6500
