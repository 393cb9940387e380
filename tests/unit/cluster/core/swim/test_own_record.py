from qvdnode.cluster.core.swim.own_record import Answer, OwnRecord
from qvdnode.wire.swim import EPOCH_MAX, Address, Incarnation, MemberState, Record

S = MemberState
HERE = Address("10.0.0.1", 1)
THERE = Address("10.0.0.2", 1)
LIFE = Incarnation(5, b"mmmmmmmm", 3)


def own() -> OwnRecord:
    return OwnRecord(Record("a", HERE, LIFE, S.ALIVE, b""))


def test_an_accusation_is_refuted_by_the_next_incarnation() -> None:
    mine = own()
    assert mine.answer(S.SUSPECT, LIFE, None) is Answer.REFUTE
    assert mine.record.incarnation == LIFE._replace(counter=4)
    assert mine.answer(S.DEAD, LIFE._replace(counter=9), None) is Answer.REFUTE
    assert mine.record.incarnation.counter == 10


def test_outdated_and_true_reports_are_ignored() -> None:
    mine = own()
    assert mine.answer(S.SUSPECT, LIFE._replace(counter=2), None) is Answer.NOTHING
    assert mine.answer(S.ALIVE, LIFE, HERE) is Answer.NOTHING
    assert mine.answer(S.ALIVE, LIFE._replace(epoch=4), THERE) is Answer.NOTHING
    assert mine.record.incarnation == LIFE


def test_another_process_of_the_same_epoch_is_a_conflict_elsewhere() -> None:
    for instance in (b"aaaaaaaa", b"zzzzzzzz"):
        mine = own()
        rival = Incarnation(5, instance, 0)
        assert mine.answer(S.ALIVE, rival, THERE) is Answer.CONFLICT
        assert mine.record.incarnation == LIFE
    assert own().answer(S.ALIVE, Incarnation(5, b"aaaaaaaa", 0), HERE) is Answer.NOTHING
    assert own().answer(S.DEAD, Incarnation(5, b"aaaaaaaa", 0), None) is Answer.NOTHING


def test_the_epoch_rises_above_that_of_the_own_earlier_process() -> None:
    for life in (Incarnation(9, b"formerly", 2), Incarnation(5, b"zzzzzzzz", 2)):
        mine = own()
        assert mine.answer(S.ALIVE, life, HERE) is Answer.RAISE_EPOCH
        assert mine.record.incarnation == Incarnation(life.epoch + 1, b"mmmmmmmm", 0)


def test_a_rival_with_a_higher_epoch_is_a_conflict_until_it_is_gone() -> None:
    mine = own()
    rival = Incarnation(9, b"rivalriv", 2)
    assert mine.answer(S.ALIVE, rival, THERE) is Answer.CONFLICT
    assert mine.answer(S.SUSPECT, rival, None) is Answer.NOTHING
    assert mine.answer(S.DEAD, rival, None) is Answer.RAISE_EPOCH
    assert mine.record.incarnation.epoch == 10


def test_an_epoch_has_a_bound() -> None:
    mine = own()
    last = Incarnation(EPOCH_MAX, b"rivalriv", 0)
    assert mine.answer(S.DEAD, last, None) is Answer.NOTHING


def test_a_member_that_left_refutes_nothing() -> None:
    mine = own()
    mine.leave()
    assert mine.leaving
    assert mine.record.state is S.LEFT
    assert mine.answer(S.SUSPECT, LIFE, None) is Answer.NOTHING
    assert mine.answer(S.ALIVE, Incarnation(5, b"aaaaaaaa", 0), THERE) is Answer.NOTHING


def test_other_metadata_comes_with_a_new_incarnation() -> None:
    mine = own()
    mine.announce(b"new")
    assert mine.record.metadata == b"new"
    assert mine.record.incarnation == LIFE._replace(counter=4)
