import random

import pytest

from qvdnode.cluster.core.swim.effects import (
    ExchangeDue,
    GossipDue,
    MemberEvent,
    ProbeTimeout,
    RelayTimeout,
    Stalled,
    SuspicionDue,
    Tick,
)
from qvdnode.cluster.core.swim.machine import Identity, Swim
from qvdnode.cluster.core.swim.timing import Timing
from qvdnode.wire.swim import (
    Accusation,
    Ack,
    Alive,
    Exchange,
    IndirectPing,
    MemberState,
    Message,
    Nack,
    Ping,
    SwimError,
)
from tests.unit.cluster.core.swim.rig import (
    FARM,
    Sent,
    accusation,
    address,
    life,
    opened,
    packet,
    record,
)

S = MemberState
E = MemberEvent


def member(*others: str, metadata: bytes = b"") -> Swim:
    """The member "m", started at 100 s, which knows these others."""
    identity = Identity(FARM, "m", address("m"), 1, b"mmmmmmmm", metadata)
    swim = Swim(identity, Timing(), random.Random(1))
    swim.start([], 100.0)
    for name in others:
        swim.handle_datagram(packet(name, Alive(record(name))), address(name), 100.0)
    return swim


def state(swim: Swim, name: str) -> S:
    found = swim.members.get(name)
    assert found is not None
    swim.members.check()
    return found.record.state


def hear(swim: Swim, sender: str, *messages: Message, now_s: float = 100.0) -> Sent:
    data = packet(sender, *messages)
    return Sent(swim.handle_datagram(data, address(sender), now_s))


def test_it_begins_by_joining_and_ticks_from_then_on() -> None:
    swim = Swim(Identity(FARM, "m", address("m"), 1, b"mmmmmmmm"), Timing(), random.Random(1))
    sent = Sent(swim.start([address("a")], 5.0))
    assert [stream.address for stream in sent.streams] == [address("a")]
    assert len(sent.delay_s(Tick)) == len(sent.delay_s(ExchangeDue)) == 1
    assert Sent(swim.handle_timer(Tick(), 5.5)).delay_s(Tick) == [1.0]
    assert swim.own == record("m")


def test_a_ping_is_answered_for_the_own_name_alone() -> None:
    swim = member("a")
    ((target, (answer, *_)),) = hear(swim, "a", Ping(5, "m")).messages
    assert (target, answer) == (address("a"), Ack(5))
    assert hear(swim, "a", Ping(5, "x")).messages == []


def test_a_member_believed_dead_learns_it_with_the_answer() -> None:
    swim = member("a")
    hear(swim, "b", accusation("a", S.DEAD))
    ((_, messages),) = hear(swim, "a", Ping(5, "m")).messages
    assert messages[:2] == (Ack(5), accusation("a", S.DEAD, "m"))


def test_a_member_that_missed_a_refutation_gets_it_in_answer() -> None:
    swim = member("a")
    hear(swim, "b", accusation("m"))
    answers = hear(swim, "a", accusation("m"), Ping(5, "m")).messages
    assert [(target, messages[0]) for target, messages in answers] == [
        (address("a"), Alive(record("m", 1))),
        (address("a"), Ack(5)),
    ]


def test_every_message_reaches_its_part() -> None:
    swim = member(*"ab")
    (ping,) = [
        message
        for _, messages in Sent(swim.handle_timer(Tick(), 100.1)).messages
        for message in messages
        if isinstance(message, Ping)
    ]
    hear(swim, ping.target, Nack(ping.sequence), Ack(ping.sequence))
    assert Sent(swim.handle_timer(ProbeTimeout(ping.sequence), 100.6)).streams == []
    relayed = hear(swim, "a", IndirectPing(9, "b", address("b")))
    ((target, (sent, *_)),) = relayed.messages
    assert target == address("b")
    assert isinstance(sent, Ping)
    nack = Sent(swim.handle_timer(RelayTimeout(sent.sequence), 100.7)).messages
    assert nack[0][1][0] == Nack(9)
    assert hear(swim, "a", Exchange(joining=True, records=(record("c"),))).changes == []
    assert Sent(swim.handle_timer(GossipDue(), 100.7)).messages
    assert Sent(swim.handle_timer(ExchangeDue(), 100.7)).streams


def test_a_suspicion_runs_out_unless_this_process_stood_still() -> None:
    swim = member("a")
    (delay_s,) = hear(swim, "b", accusation("a")).delay_s(SuspicionDue)
    due_s = 100.0 + delay_s
    timer = SuspicionDue("a", life("a"))
    sent = Sent(swim.handle_timer(timer, due_s))  # without a tick since the start
    assert sent.changes == []
    assert sent.delay_s(SuspicionDue) == [2.0]
    for later_s in (0.1, 1.1, 2.0):
        swim.handle_timer(Tick(), due_s + later_s)
    assert Sent(swim.handle_timer(timer, due_s + 2.0)).changes == [("a", E.DIED)]


def test_a_late_tick_accuses_nobody() -> None:
    swim = member(*"ab")
    swim.handle_timer(Tick(), 100.5)
    # A probe without an answer is under way, and ten seconds pass in which nothing was handled.
    sent = Sent(swim.handle_timer(Tick(), 110.5))
    assert sent.events == [Stalled(9.0)]
    assert swim.health == 1
    assert {state(swim, name) for name in "ab"} == {S.ALIVE}
    sent = Sent(swim.handle_timer(Tick(), 111.5))
    assert sent.events == []
    assert {state(swim, name) for name in "ab"} == {S.ALIVE}
    for tick in range(3, 9):
        swim.handle_timer(Tick(), 109.5 + tick)
    assert S.SUSPECT in {state(swim, name) for name in "ab"}


def test_a_stall_is_told_once_whatever_is_handled_first() -> None:
    swim = member("a")
    swim.handle_timer(Tick(), 100.5)
    sent = hear(swim, "a", Ping(1, "m"), now_s=105.0)
    assert sent.events == [Stalled(3.5)]
    assert Sent(swim.handle_timer(Tick(), 105.0)).events == []


def test_foreign_and_broken_packets_change_nothing() -> None:
    swim = member()
    for data in (b"", b"\xc1", packet("a")[:-1]):
        with pytest.raises(SwimError):
            swim.handle_datagram(data, address("a"), 100.0)
        with pytest.raises(SwimError):
            swim.handle_stream_request(data, address("a"), 100.0)
        with pytest.raises(SwimError):
            swim.handle_stream_answer(1, data, 100.0)
    assert swim.members.size == 1


def test_an_exchange_is_answered_with_what_was_known_before() -> None:
    swim = member("a")
    data = packet("b", Exchange(joining=True, records=(record("b"),)))
    effects, answer = swim.handle_stream_request(data, address("b"), 100.0)
    assert Sent(effects).changes == [("b", E.JOINED)]
    assert answer is not None
    assert opened(answer).messages == (Exchange(False, (record("m"), record("a"))),)


def test_a_ping_over_tcp_is_answered_and_updates_an_outdated_sender() -> None:
    swim = member("a")
    _, answer = swim.handle_stream_request(packet("a", Ping(3, "m")), address("a"), 100.0)
    assert answer is not None
    assert opened(answer).messages == (Ack(3),)
    hear(swim, "b", accusation("a", S.DEAD))
    _, answer = swim.handle_stream_request(packet("a", Ping(3, "m")), address("a"), 100.0)
    assert answer is not None
    assert opened(answer).messages == (Ack(3), accusation("a", S.DEAD, "m"))
    data = packet("a", Ping(3, "x"), Ack(1))
    assert swim.handle_stream_request(data, address("a"), 100.0) == ([], None)


def test_the_answer_of_a_stream_is_taken() -> None:
    swim = member("a")
    (stream,) = Sent(swim.handle_timer(ExchangeDue(), 100.1)).streams
    answer = packet(
        "a", Exchange(False, (record("b"),)), Alive(record("c")), accusation("m"), Ack(1)
    )
    sent = Sent(swim.handle_stream_answer(stream.number, answer, 100.2))
    assert sent.changes == [("b", E.JOINED), ("c", E.JOINED)]
    assert swim.own.incarnation.counter == 1
    sent = Sent(swim.handle_stream_answer(stream.number, packet("a"), 100.2))
    assert sent.changes == []
    swim.handle_stream_failure(stream.number)


def test_seeds_may_change_while_it_runs() -> None:
    swim = member()
    swim.set_seeds([address("s")])
    sent = Sent(swim.handle_timer(Tick(), 100.3))
    assert [stream.address for stream in sent.streams] == [address("s")]


def test_metadata_spreads_and_has_a_bound() -> None:
    swim = member("a", metadata=b"old")
    swim.announce(b"new", 100.1)
    assert swim.rumours
    ((_, messages),) = Sent(swim.handle_timer(GossipDue(), 100.2)).messages
    assert Alive(record("m", 1)._replace(metadata=b"new")) in messages
    with pytest.raises(ValueError, match="512"):
        swim.announce(b"x" * 513, 100.3)
    with pytest.raises(ValueError, match="512"):
        member(metadata=b"x" * 513)


def test_a_leaving_member_spreads_it_and_probes_no_more() -> None:
    swim = member("a")
    swim.handle_timer(GossipDue(), 100.0)
    swim.leave(100.1)
    ((_, messages),) = Sent(swim.handle_timer(GossipDue(), 100.2)).messages
    assert Accusation(S.LEFT, "m", life("m"), "m") in messages
    assert Sent(swim.handle_timer(Tick(), 100.5)).datagrams == []
