import pytest

from qvdnode.cluster.core.swim import knowledge as module
from qvdnode.cluster.core.swim import members as members_module
from qvdnode.cluster.core.swim.effects import (
    AddressConflict,
    EpochRaised,
    MemberEvent,
    NameConflict,
    SuspicionDue,
)
from qvdnode.cluster.core.swim.knowledge import event_of
from qvdnode.wire.swim import Accusation, Address, Alive, Incarnation, MemberState, Sender
from tests.unit.cluster.core.swim.rig import Rig, accusation, address, life, record

S = MemberState
E = MemberEvent
ELSEWHERE = Address("10.9.9.9", 1)


def waiting(rig: Rig) -> list[tuple[object, ...]]:
    """What waits to be passed on."""
    rig.outbox.send(ELSEWHERE, (), 99)
    return [messages for _, messages in rig.sent().messages]


def test_a_new_member_is_told_and_passed_on() -> None:
    rig = Rig()
    rig.knowledge.hear_alive(record("a"), source="b")
    assert rig.sent().changes == [("a", E.JOINED)]
    assert waiting(rig) == [(Alive(record("a")),)]
    rig.knowledge.hear_alive(record("a"), source="b")
    assert rig.sent().changes == []


def test_records_heard_while_joining_are_not_spread() -> None:
    rig = Rig()
    rig.knowledge.merge((record("a"), record("m")), source="b", spread=False)
    assert rig.sent().changes == [("a", E.JOINED)]
    again = (record("a"), record("a", 1)._replace(metadata=b"new"))
    rig.knowledge.merge(again, source="b", spread=False)
    assert rig.sent().changes == [("a", E.UPDATED)]
    assert waiting(rig) == []


def test_an_accusation_of_an_unknown_member_is_ignored() -> None:
    rig = Rig()
    rig.knowledge.hear_accusation(accusation("a"))
    assert rig.sent().events == []


def test_a_suspicion_ends_by_a_refutation() -> None:
    rig = Rig(*"abcd")
    rig.knowledge.hear_accusation(accusation("a"))
    assert rig.sent().changes == [("a", E.SUSPECTED)]
    rig.knowledge.hear_alive(record("a"), source="a")
    assert rig.sent().changes == []
    rig.knowledge.hear_alive(record("a", 1), source="a")
    assert rig.sent().changes == [("a", E.RECOVERED)]
    rig.knowledge.now_s = 99.0
    rig.knowledge.suspicion_due(SuspicionDue("a", life("a")))
    rig.knowledge.suspicion_due(SuspicionDue("nobody", life("a")))
    assert rig.state("a") is S.ALIVE


def test_a_suspicion_that_lasts_declares_the_member_dead() -> None:
    rig = Rig(*"abcdef")
    rig.knowledge.hear_accusation(accusation("a"))
    sent = rig.sent()
    (delay_s,) = sent.delay_s(SuspicionDue)
    assert delay_s == pytest.approx(24.0)
    timer = SuspicionDue("a", life("a"))
    rig.knowledge.now_s = 10.0
    rig.knowledge.suspicion_due(timer)
    assert rig.sent().delay_s(SuspicionDue) == [pytest.approx(14.0)]
    rig.knowledge.now_s = 24.0
    rig.knowledge.suspicion_due(timer)
    assert rig.sent().changes == [("a", E.DIED)]
    assert waiting(rig)[0][0] == accusation("a", S.DEAD, "m")


def test_a_timer_of_an_older_suspicion_is_ignored() -> None:
    rig = Rig(*"abcd")
    rig.knowledge.hear_accusation(accusation("a"))
    rig.knowledge.hear_accusation(accusation("a", counter=1))
    rig.knowledge.now_s = 99.0
    rig.knowledge.suspicion_due(SuspicionDue("a", life("a")))
    assert rig.state("a") is S.SUSPECT


def test_independent_accusers_shorten_a_suspicion_and_are_passed_on() -> None:
    rig = Rig(*"abcdef")
    rig.knowledge.hear_accusation(accusation("a", accuser="b"))
    rig.quiet()
    spans = []
    for accuser in "bcdef":
        rig.knowledge.hear_accusation(accusation("a", accuser=accuser))
        spans.append(rig.sent().delay_s(SuspicionDue))
    # The first accuser does not count again, and two confirmations are enough.
    assert [len(span) for span in spans] == [0, 1, 1, 0, 0]
    assert spans[1][0] > spans[2][0] == pytest.approx(4.0)
    assert waiting(rig)[0][0] == accusation("a", accuser="d")


def test_an_accusation_of_another_incarnation_confirms_nothing() -> None:
    rig = Rig(*"abcdef")
    rig.knowledge.hear_accusation(accusation("a", counter=1))
    rig.quiet()
    rig.knowledge.hear_accusation(accusation("a", accuser="c", counter=0))
    assert rig.sent().timers == []
    rig.knowledge.hear_accusation(accusation("b", S.DEAD))
    rig.quiet()
    rig.knowledge.hear_accusation(accusation("b"))
    assert rig.sent().timers == []


def test_a_probe_accuses_only_the_incarnation_that_it_probed() -> None:
    rig = Rig(*"abcd")
    rig.knowledge.hear_alive(record("a", 1), source="a")
    rig.knowledge.accuse("a", life("a", 0))
    assert rig.state("a") is S.ALIVE
    rig.knowledge.accuse("a", life("a", 1))
    assert rig.state("a") is S.SUSPECT


def test_a_member_that_was_blocked_accuses_nobody_for_a_while() -> None:
    rig = Rig(*"abcd")
    rig.knowledge.hear_accusation(accusation("b"))
    rig.knowledge.now_s = 100.0
    rig.knowledge.accuse_nobody_until(102.0)
    assert rig.knowledge.health.score == 1
    rig.quiet()
    rig.knowledge.accuse("a", life("a"))
    assert rig.state("a") is S.ALIVE
    rig.knowledge.suspicion_due(SuspicionDue("b", life("b")))
    assert rig.sent().delay_s(SuspicionDue) == [2.0]
    rig.knowledge.now_s = 102.0
    rig.knowledge.accuse("a", life("a"))
    assert rig.state("a") is S.SUSPECT
    rig.knowledge.suspicion_due(SuspicionDue("b", life("b")))
    assert rig.state("b") is S.DEAD


def test_an_accusation_of_this_member_is_refuted() -> None:
    rig = Rig("a")
    rig.knowledge.hear_accusation(accusation("m"))
    assert rig.knowledge.health.score == 1
    assert waiting(rig) == [(Alive(record("m", 1)),)]
    rig.knowledge.hear_accusation(accusation("m"))
    assert rig.knowledge.health.score == 1


def test_an_epoch_that_was_behind_is_raised_and_told() -> None:
    rig = Rig("a")
    rig.knowledge.hear_accusation(Accusation(S.DEAD, "m", life("m", epoch=7), "a"))
    assert rig.sent().events == [EpochRaised(8)]
    ((message,),) = waiting(rig)
    assert isinstance(message, Alive)
    assert message.record.incarnation == life("m", epoch=8)


def test_a_rival_for_the_own_name_is_told_once() -> None:
    rig = Rig("a")
    rival = record("m")._replace(address=ELSEWHERE, incarnation=Incarnation(1, b"rivalriv", 0))
    rig.knowledge.hear_alive(rival, source="a")
    rig.knowledge.hear_alive(rival, source="a")
    assert rig.sent().events == [NameConflict("m", ELSEWHERE, b"rivalriv")]
    sender = Sender("m", Incarnation(1, b"other___", 0))
    assert rig.knowledge.hear_sender(sender, ELSEWHERE) is None
    assert rig.sent().events == [NameConflict("m", ELSEWHERE, b"other___")]
    assert rig.knowledge.hear_sender(Sender("m", life("m")), ELSEWHERE) is None
    assert rig.sent().events == []


def test_two_processes_of_one_epoch_are_a_conflict_for_every_member() -> None:
    rig = Rig("a")
    rival = record("a")._replace(address=ELSEWHERE, incarnation=Incarnation(1, b"zzzzzzzz", 0))
    rig.knowledge.hear_alive(rival, source="a")
    sent = rig.sent()
    assert sent.events[0] == NameConflict("a", ELSEWHERE, b"zzzzzzzz")
    assert sent.changes == [("a", E.RESTARTED)]


def test_remembered_conflicts_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CONFLICTS_MAX", 2)
    rig = Rig("a")
    for number in (1, 2, 3, 1):
        sender = Sender("m", Incarnation(1, bytes([number]) * 8, 0))
        rig.knowledge.hear_sender(sender, ELSEWHERE)
    assert len(rig.sent().events) == 4


def test_two_members_of_one_address_are_told() -> None:
    rig = Rig(*"ab")
    rig.knowledge.hear_alive(record("c")._replace(address=address("a")), source="c")
    assert AddressConflict("c", "a", address("a")) in rig.sent().events
    moved = record("b", 1)._replace(address=address("a"))
    rig.knowledge.hear_alive(moved, source="b")
    sent = rig.sent()
    assert AddressConflict("b", "c", address("a")) in sent.events
    assert ("b", E.UPDATED) in sent.changes
    rig.knowledge.hear_alive(record("c", 1)._replace(address=address("a")), source="c")
    rig.knowledge.hear_alive(
        record("c", 2)._replace(address=ELSEWHERE, metadata=b"new"), source="c"
    )
    rig.knowledge.hear_alive(record("c", 3)._replace(address=address("b")), source="c")
    assert not [event for event in rig.sent().events if isinstance(event, AddressConflict)]


def test_a_conflict_of_addresses_is_told_once() -> None:
    rig = Rig("a")
    for counter in range(4):
        there = address("a") if counter % 2 else ELSEWHERE
        rig.knowledge.hear_alive(record("c", counter)._replace(address=there), source="c")
        rig.knowledge.hear_alive(record("a", counter + 1), source="a")
    told = [event for event in rig.sent().events if isinstance(event, AddressConflict)]
    assert told == [AddressConflict("c", "a", address("a"))]


def test_the_address_of_a_dead_member_may_be_reused() -> None:
    rig = Rig(*"ab")
    rig.knowledge.hear_accusation(accusation("a", S.DEAD))
    rig.quiet()
    rig.knowledge.hear_alive(record("c")._replace(address=address("a")), source="c")
    assert rig.sent().changes == [("c", E.JOINED)]
    gone = record("d", state=S.LEFT)._replace(address=address("b"))
    rig.knowledge.merge((gone,), source="c", spread=True)
    assert rig.sent().events == []


def test_a_member_dead_to_another_becomes_suspect_here() -> None:
    rig = Rig(*"abcd")
    records = (record("a", state=S.DEAD), record("b", state=S.LEFT), record("c", state=S.SUSPECT))
    rig.knowledge.merge(records, source="d", spread=True)
    assert rig.sent().changes == [("a", E.SUSPECTED), ("b", E.LEFT), ("c", E.SUSPECTED)]
    rig.knowledge.merge((record("m", 5, S.DEAD),), source="d", spread=True)
    assert rig.own.record.incarnation.counter == 6


def test_unknown_members_are_added_in_the_state_of_the_record() -> None:
    rig = Rig()
    records = (record("a", state=S.DEAD), record("b", state=S.LEFT), record("c", state=S.SUSPECT))
    rig.knowledge.merge(records, source="d", spread=True)
    assert rig.sent().changes == [("c", E.JOINED), ("c", E.SUSPECTED)]
    assert [rig.state(name) for name in "abc"] == [S.DEAD, S.LEFT, S.SUSPECT]


def test_a_full_table_takes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig("a")
    monkeypatch.setattr(members_module, "RECORDS_MAX", 2)
    rig.knowledge.hear_alive(record("b"), source="b")
    assert rig.sent().events == []


def test_a_sender_with_old_news_of_itself_gets_the_newer_report() -> None:
    rig = Rig("a")
    told = rig.knowledge.hear_sender
    assert told(Sender("stranger", life("s")), ELSEWHERE) is None
    assert told(Sender("a", life("a")), address("a")) is None
    rig.knowledge.hear_accusation(accusation("a", S.DEAD, counter=4))
    assert told(Sender("a", life("a", 4)), address("a")) == accusation("a", S.DEAD, "m", 4)
    assert told(Sender("a", life("a", 2)), address("a")) == accusation("a", S.DEAD, "m", 4)
    # The other way round it is this member that is behind, and asks so for the newer record.
    assert told(Sender("a", life("a", 5)), address("a")) == accusation("a", S.DEAD, "m", 4)


def test_a_repeated_refuted_report_is_corrected() -> None:
    rig = Rig("a")
    correction = rig.knowledge.correction
    assert correction(accusation("m")) is None  # to be refuted, not corrected
    rig.knowledge.hear_accusation(accusation("m"))
    assert correction(accusation("m")) == Alive(record("m", 1))
    assert correction(Alive(record("m"))) == Alive(record("m", 1))
    assert correction(Alive(record("m", 1))) is None
    assert correction(accusation("a")) is None
    rig.own.leave()
    assert correction(accusation("m")) is None


def test_a_leaving_member_accuses_nobody() -> None:
    rig = Rig("a")
    rig.own.leave()
    rig.knowledge.spread_own()
    assert waiting(rig) == [(accusation("m", S.LEFT, "m"),)]
    rig.knowledge.accuse("a", life("a"))
    assert rig.state("a") is S.ALIVE


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        (S.ALIVE, S.SUSPECT, E.SUSPECTED),
        (S.SUSPECT, S.ALIVE, E.RECOVERED),
        (S.SUSPECT, S.DEAD, E.DIED),
        (S.ALIVE, S.LEFT, E.LEFT),
        (S.DEAD, S.LEFT, None),
        (S.LEFT, S.DEAD, None),
        (S.DEAD, S.ALIVE, E.JOINED),
        (S.LEFT, S.SUSPECT, E.JOINED),
        (S.ALIVE, S.ALIVE, None),
        (S.SUSPECT, S.SUSPECT, None),
    ],
)
def test_each_change_of_a_record_has_its_event(before: S, after: S, event: E | None) -> None:
    assert event_of(record("a", 0, before), record("a", 1, after)) is event
