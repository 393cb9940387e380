import pytest

from qvdnode.cluster.core.swim import probing as module
from qvdnode.cluster.core.swim.effects import ProbeTimeout, RelayTimeout, UdpUnanswered
from qvdnode.wire.swim import Ack, IndirectPing, MemberState, Nack, Ping
from tests.unit.cluster.core.swim.rig import Rig, Sent, accusation, address, life, record

S = MemberState


def begin(rig: Rig) -> Ping:
    """Begin a probe of "a", and return its ping."""
    rig.prober.tick()
    ((target, messages),) = rig.sent().messages
    ping = messages[-1]
    assert isinstance(ping, Ping)
    assert target == address(ping.target)
    return ping


def conclude(rig: Rig) -> Sent:
    """Let the probe under way end, and the next one begin."""
    for _ in range(rig.knowledge.health.score + 1):
        rig.prober.tick()
    return rig.sent()


def time_out(rig: Rig, ping: Ping) -> Sent:
    rig.prober.timed_out(ProbeTimeout(ping.sequence))
    return rig.sent()


def test_an_answered_probe_keeps_the_health_score_low() -> None:
    rig = Rig("a")
    rig.knowledge.health.worsen()
    ping = begin(rig)
    rig.prober.hear_ack(Ack(ping.sequence), "a")
    assert time_out(rig, ping).messages == []
    rig.prober.tick()
    assert rig.sent().datagrams == []
    rig.prober.tick()
    assert rig.sent().changes == []
    assert rig.knowledge.health.score == 0
    assert rig.state("a") is S.ALIVE


def test_only_the_target_and_the_helpers_answer_for_it() -> None:
    rig = Rig("a")
    ping = begin(rig)
    rig.prober.hear_ack(Ack(ping.sequence), "x")
    rig.prober.hear_ack(Ack(ping.sequence + 1), "a")
    rig.prober.hear_nack(Nack(ping.sequence), "x")
    time_out(rig, ping)
    conclude(rig)
    assert rig.state("a") is S.SUSPECT


def test_a_silent_member_is_asked_through_others_and_over_tcp() -> None:
    rig = Rig(*"abcdef")
    ping = begin(rig)
    sent = time_out(rig, ping)
    asked = {target for target, _ in sent.messages}
    assert len(asked) == 3
    assert address(ping.target) not in asked
    expected = IndirectPing(ping.sequence, ping.target, address(ping.target))
    assert all(messages == (expected,) for _, messages in sent.messages)
    (stream,) = sent.streams
    assert (stream.address, stream.limit_s) == (address(ping.target), 0.5)


@pytest.mark.parametrize(("nacks", "score"), [(0, 3), (1, 2), (3, 0)])
def test_missing_nacks_worsen_the_own_health_score(nacks: int, score: int) -> None:
    rig = Rig(*"abcdef")
    ping = begin(rig)
    helpers = [target for target, _ in time_out(rig, ping).messages]
    names = [name for name in "abcdef" if address(name) in helpers]
    for name in names[:nacks]:
        rig.prober.hear_nack(Nack(ping.sequence), name)
    conclude(rig)
    assert rig.state(ping.target) is S.SUSPECT
    assert rig.knowledge.health.score == score


def test_an_answer_through_a_helper_counts() -> None:
    rig = Rig(*"ab")
    ping = begin(rig)
    time_out(rig, ping)
    helper = "b" if ping.target == "a" else "a"
    rig.prober.hear_ack(Ack(ping.sequence), helper)
    conclude(rig)
    assert rig.state(ping.target) is S.ALIVE


def test_a_member_that_answers_over_tcp_only_stays_and_is_reported() -> None:
    rig = Rig("a")
    ping = begin(rig)
    (stream,) = time_out(rig, ping).streams
    rig.prober.hear_stream(stream.number + 1, (Ack(ping.sequence),), "a")
    rig.prober.hear_stream(stream.number, (Ack(ping.sequence),), "x")
    rig.prober.hear_stream(stream.number, (Ack(ping.sequence),), "a")
    assert UdpUnanswered("a") in conclude(rig).events
    assert rig.state("a") is S.ALIVE


def test_a_timeout_of_an_older_probe_is_ignored() -> None:
    rig = Rig("a")
    ping = begin(rig)
    assert time_out(rig, Ping(ping.sequence - 1, "a")).streams == []
    rig.prober.abandon()
    assert time_out(rig, ping).streams == []
    rig.prober.hear_ack(Ack(ping.sequence), "a")
    rig.prober.hear_nack(Nack(ping.sequence), "a")
    rig.prober.hear_stream(0, (), "a")
    conclude(rig)
    assert rig.state("a") is S.ALIVE


def test_a_member_that_is_forgotten_meanwhile_is_asked_no_more() -> None:
    rig = Rig("a")
    ping = begin(rig)
    rig.knowledge.hear_accusation(accusation("a", S.LEFT))
    rig.members.forget_left(1.0)
    assert time_out(rig, ping).streams == []
    assert conclude(rig).changes == []


def test_a_process_that_replaced_the_probed_one_is_not_accused() -> None:
    rig = Rig("a")
    time_out(rig, begin(rig))
    new = record("a")._replace(incarnation=life("x", epoch=2))
    rig.knowledge.hear_alive(new, source="a")
    conclude(rig)
    assert rig.state("a") is S.ALIVE


def test_a_suspect_hears_what_it_is_accused_of_with_the_ping() -> None:
    rig = Rig("a")
    rig.knowledge.hear_accusation(accusation("a"))
    rig.quiet()
    rig.prober.tick()
    ((_, messages),) = rig.sent().messages
    assert messages[0] == accusation("a", accuser="m")
    assert isinstance(messages[1], Ping)


def test_suspects_are_reminded_in_every_tick_also_when_nobody_is_probed() -> None:
    rig = Rig("a", "b")
    for name in "ab":
        rig.knowledge.hear_accusation(accusation(name))
    rig.knowledge.health.worsen(2)
    rig.quiet()
    for _ in range(2):
        rig.prober.tick()
        sent = rig.sent().messages
        assert {target for target, _ in sent} == {address("a"), address("b")}
        assert {messages[0] for _, messages in sent} == {
            accusation("a", accuser="m"),
            accusation("b", accuser="m"),
        }


def test_a_member_with_a_bad_health_score_probes_less_often() -> None:
    rig = Rig(*"abc")
    rig.knowledge.health.worsen(2)
    pings = []
    for _ in range(7):
        rig.prober.tick()
        rig.prober.abandon()
        pings.append(len(rig.sent().datagrams))
    assert pings == [1, 0, 0, 1, 0, 0, 1]


def test_nobody_is_probed_when_nobody_is_there() -> None:
    rig = Rig()
    rig.prober.tick()
    assert rig.sent().datagrams == []


def test_a_ping_for_somebody_else_is_passed_on_both_ways() -> None:
    rig = Rig(*"ab")
    rig.prober.relay(IndirectPing(77, "b", address("b")), address("a"))
    sent = rig.sent()
    ((target, (ping,)),) = sent.messages
    assert target == address("b")
    assert isinstance(ping, Ping)
    assert ping.sequence != 77
    assert sent.delay_s(RelayTimeout) == [0.4]
    rig.prober.hear_ack(Ack(ping.sequence), "a")
    assert rig.sent().messages == []
    rig.prober.hear_ack(Ack(ping.sequence), "b")
    assert rig.sent().messages == [(address("a"), (Ack(77),))]
    rig.prober.relay_timed_out(RelayTimeout(ping.sequence))
    assert rig.sent().messages == []


def test_no_answer_for_somebody_else_is_told() -> None:
    rig = Rig(*"ab")
    rig.prober.relay(IndirectPing(77, "b", address("b")), address("a"))
    ((_, (ping,)),) = rig.sent().messages
    assert isinstance(ping, Ping)
    rig.prober.relay_timed_out(RelayTimeout(ping.sequence))
    assert rig.sent().messages == [(address("a"), (Nack(77),))]
    rig.prober.hear_ack(Ack(ping.sequence), "b")
    assert rig.sent().messages == []


def test_pings_for_others_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RELAYS_MAX", 2)
    rig = Rig(*"ab")
    for number in range(4):
        rig.prober.relay(IndirectPing(number, "b", address("b")), address("a"))
    assert len(rig.sent().messages) == 2
