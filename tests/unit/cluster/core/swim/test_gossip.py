from qvdnode.cluster.core.swim.effects import GossipDue
from qvdnode.wire.swim import Ack, Alive, MemberState
from tests.unit.cluster.core.swim.rig import Rig, accusation, address, record


def test_rounds_go_on_while_there_is_something_to_tell() -> None:
    rig = Rig(*"abcdef")
    rig.gossip.spread("a", Ack(1))
    rig.gossip.spread("b", Ack(2))
    (first_s,) = rig.sent().delay_s(GossipDue)
    assert 0 <= first_s <= rig.timing.gossip_interval_s
    rounds = 0
    while True:
        rig.gossip.round(0.0)
        sent = rig.sent()
        rounds += 1
        assert len({address for address, _ in sent.messages}) == len(sent.messages) <= 3
        if not sent.timers:
            break
        assert sent.delay_s(GossipDue) == [rig.timing.gossip_interval_s]
    # Four times ceil(log10(8)) packets, three in each round.
    assert rounds == 2
    rig.gossip.spread("a", Ack(1))
    assert rig.sent().delay_s(GossipDue)


def test_rumours_wait_while_there_is_no_other_member() -> None:
    rig = Rig()
    rig.gossip.spread("m", Alive(record("m")))
    rig.sent()
    rig.gossip.round(0.0)
    assert rig.sent().timers == []
    rig.knowledge.hear_alive(record("a"), source="a")
    assert rig.sent().delay_s(GossipDue)
    rig.gossip.round(0.0)
    ((_, messages),) = rig.sent().messages
    assert Alive(record("m")) in messages


def test_the_dead_hear_of_it_for_a_while() -> None:
    rig = Rig(*"ab")
    rig.knowledge.hear_accusation(accusation("a", MemberState.DEAD))
    rig.sent()
    rig.gossip.round(29.0)
    targets = [target for target, _ in rig.sent().messages]
    assert sorted(targets) == sorted([address("a"), address("b")])
    rig.gossip.round(31.0)
    assert [target for target, _ in rig.sent().messages] == [address("b")]
