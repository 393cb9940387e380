import random
from collections import Counter

import pytest

from qvdnode.cluster.core.swim import members as module
from qvdnode.cluster.core.swim.members import Members
from qvdnode.wire.swim import Accusation, Address, Alive, MemberState
from tests.unit.cluster.core.swim.rig import record

S = MemberState


def some(*names: str) -> Members:
    members = Members(random.Random(1))
    for name in names:
        assert members.put(record(name), 0.0)
    members.check()
    return members


def test_members_are_found_by_name_and_address() -> None:
    members = some("a", "b")
    found = members.get("a")
    assert found is not None
    assert members.at(found.record.address) is found
    assert members.get("c") is None
    assert members.at(Address("10.9.9.9", 1)) is None
    assert {member.record.name for member in members} == {"a", "b"}
    assert members.size == 3


def test_dead_members_are_listed_apart() -> None:
    members = some("a", "b", "c")
    assert members.learn(record("a", state=S.DEAD), 5.0) == record("a")
    assert members.learn(record("b", state=S.LEFT), 5.0) == record("b")
    members.check()
    assert members.down == ["a"]
    assert members.size == 2
    assert members.learn(record("a"), 6.0) is None
    assert members.learn(record("a", 1), 7.0) == record("a", state=S.DEAD)
    assert members.down == []
    found = members.get("a")
    assert found is not None
    assert found.up
    assert found.changed_s == 7.0


def test_a_member_that_moves_is_found_at_its_new_address_alone() -> None:
    members = some("a")
    new = Address("10.9.9.9", 1)
    members.learn(record("a", 1)._replace(address=new), 1.0)
    assert members.at(new) is members.get("a")
    assert members.at(record("a").address) is None


def test_an_address_belongs_to_the_member_that_announced_it_last() -> None:
    members = some("a")
    members.put(record("b")._replace(address=record("a").address), 0.0)
    members.learn(record("a", 1)._replace(address=Address("10.9.9.9", 1)), 1.0)
    assert members.at(record("a").address) is members.get("b")


def test_a_member_that_left_is_forgotten_after_a_time() -> None:
    members = some("a", "b")
    members.learn(record("a", state=S.LEFT), 10.0)
    members.forget_left(10.0)
    assert members.get("a") is not None
    members.forget_left(10.1)
    members.check()
    assert members.get("a") is None
    assert members.get("b") is not None


def test_there_are_no_more_than_an_exchange_carries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECORDS_MAX", 3)
    members = some("a", "b")
    assert not members.put(record("c"), 0.0)
    members.check()


def test_each_round_probes_everybody_once_in_another_order() -> None:
    members = some(*"abcdefgh")
    members.learn(record("c", state=S.DEAD), 0.0)
    rounds = []
    for _ in range(5):
        names = [
            member.record.name for member in (members.next_to_probe() for _ in range(7)) if member
        ]
        assert sorted(names) == list("abdefgh")
        rounds.append(tuple(names))
    assert len(set(rounds)) > 1


def test_nobody_is_probed_when_nobody_is_up() -> None:
    members = some("a")
    members.learn(record("a", state=S.DEAD), 0.0)
    assert members.next_to_probe() is None
    assert some().next_to_probe() is None


def test_some_are_picked_fairly_and_without_the_one_that_is_left_out() -> None:
    members = some(*"abcde")
    counts: Counter[str] = Counter()
    for _ in range(400):
        picked = [member.record.name for member in members.some_up(2, without="c")]
        assert len(set(picked)) == 2
        counts.update(picked)
    assert set(counts) == set("abde")
    assert min(counts.values()) > 150
    assert len(members.some_up(9)) == 5


def test_suspects_are_picked_at_random() -> None:
    members = some(*"abcd")
    assert members.some_suspects(3) == []
    for name in "abc":
        members.learn(record(name, state=S.SUSPECT), 1.0)
    assert {member.record.name for member in members.some_suspects(3)} == {"a", "b", "c"}
    picked = {members.some_suspects(1)[0].record.name for _ in range(50)}
    assert picked == {"a", "b", "c"}


def test_a_record_becomes_a_message() -> None:
    members = some("a")
    member = members.get("a")
    assert member is not None
    assert member.as_message("z") == Alive(record("a"))
    members.learn(record("a", state=S.DEAD), 0.0)
    assert member.as_message("z") == Accusation(S.DEAD, "a", record("a").incarnation, "z")
