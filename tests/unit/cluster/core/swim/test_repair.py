import pytest

from qvdnode.cluster.core.swim.effects import ExchangeDue, OpenStream
from qvdnode.wire.swim import Address, Exchange, MemberState
from tests.unit.cluster.core.swim.rig import Rig, accusation, address, opened, record

S = MemberState
SEEDS = [Address("10.1.1.1", 1), Address("10.1.1.2", 1)]


def asked(stream: OpenStream) -> Exchange:
    (message,) = opened(stream.data).messages
    assert isinstance(message, Exchange)
    return message


def ticks(rig: Rig, count: int) -> list[Address]:
    """Where exchanges go within so many ticks, each of which fails."""
    targets = []
    for _ in range(count):
        rig.repair.tick()
        for stream in rig.sent().streams:
            targets.append(stream.address)
            rig.repair.ended(stream.number)
    return targets


def test_it_joins_by_some_seeds_but_not_by_itself() -> None:
    rig = Rig()
    rig.repair.set_seeds([*SEEDS, address("m")])
    rig.repair.join()
    streams = rig.sent().streams
    assert {stream.address for stream in streams} == set(SEEDS)
    assert asked(streams[0]) == Exchange(joining=True, records=(record("m"),))


def test_the_first_exchange_is_soon_and_the_others_are_regular() -> None:
    rig = Rig(*"abc")
    rig.repair.begin()
    (first_s,) = rig.sent().delay_s(ExchangeDue)
    assert 0 <= first_s <= 10.0
    rig.repair.exchange_due()
    sent = rig.sent()
    (stream,) = sent.streams
    assert stream.address in {address(name) for name in "abc"}
    assert not asked(stream).joining
    assert len(asked(stream).records) == 4
    assert sent.delay_s(ExchangeDue) == [30.0]


def test_alone_there_is_nobody_to_exchange_with() -> None:
    rig = Rig()
    rig.repair.exchange_due()
    sent = rig.sent()
    assert sent.streams == []
    assert sent.delay_s(ExchangeDue) == [30.0]


def test_alone_it_tries_seeds_and_the_dead_at_every_tick_for_ever() -> None:
    rig = Rig("a")
    rig.knowledge.hear_accusation(accusation("a", S.DEAD))
    rig.repair.set_seeds(SEEDS)
    rig.quiet()
    targets = ticks(rig, 300)
    assert len(targets) == 300
    assert set(targets) == {address("a"), *SEEDS}


def test_among_others_all_share_the_work() -> None:
    rig = Rig(*"abcdefg")
    rig.knowledge.hear_accusation(accusation("a", S.DEAD))
    rig.quiet()
    targets = ticks(rig, 7000)
    assert set(targets) == {address("a")}
    # One attempt in ten ticks, by one of the seven that are up.
    assert 50 < len(targets) < 160


def test_with_nobody_missing_nobody_is_tried() -> None:
    rig = Rig(*"ab")
    rig.repair.set_seeds([address("a")])
    assert ticks(rig, 100) == []


def test_a_seed_whose_member_left_is_tried() -> None:
    rig = Rig("a")
    rig.repair.set_seeds([address("a")])
    rig.knowledge.hear_accusation(accusation("a", S.LEFT))
    rig.quiet()
    assert ticks(rig, 2) == [address("a")] * 2


def test_attempts_that_hang_have_a_bound() -> None:
    rig = Rig()
    rig.repair.set_seeds(SEEDS)
    numbers = []
    for _ in range(10):
        rig.repair.tick()
        numbers += [stream.number for stream in rig.sent().streams]
    assert len(numbers) == 3
    rig.repair.ended(numbers[0])
    rig.repair.tick()
    assert len(rig.sent().streams) == 1


@pytest.mark.parametrize("joining", [True, False])
def test_an_answer_is_merged_once_and_only_if_expected(joining: bool) -> None:
    rig = Rig() if joining else Rig("b")
    rig.repair.set_seeds(SEEDS)
    if joining:
        rig.repair.join()
    else:
        rig.repair.exchange_due()
    stream = rig.sent().streams[0]
    answer = Exchange(joining=False, records=(record("a"),))
    rig.repair.answered(stream.number + 9, answer, "b", rig.knowledge)
    assert rig.members.get("a") is None
    rig.repair.answered(stream.number, answer, "b", rig.knowledge)
    assert rig.state("a") is S.ALIVE
    # Who joins is the only one to whom this is news.
    assert len(rig.outbox.rumours) == (0 if joining else 1)
    rig.repair.answered(stream.number, Exchange(False, (record("c"),)), "b", rig.knowledge)
    assert rig.members.get("c") is None


def test_an_answer_to_others_holds_everything() -> None:
    rig = Rig(*"ab")
    assert rig.repair.request() == Exchange(False, (record("m"), record("a"), record("b")))
