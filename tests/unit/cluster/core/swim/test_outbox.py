from qvdnode.cluster.core.swim.effects import (
    Notify,
    OpenStream,
    Schedule,
    SendDatagram,
    Stalled,
    Tick,
)
from qvdnode.wire.swim import Ack, Alive, Ping, Sender, encode
from tests.unit.cluster.core.swim.rig import Rig, address, life, opened, record


def test_effects_come_out_once_and_in_order() -> None:
    rig = Rig()
    box = rig.outbox
    box.schedule(Tick(), 1.0)
    box.notify(Stalled(2.0))
    number = box.open_stream(address("a"), Ping(1, "a"), 3.0)
    box.send(address("b"), (Ack(2),), 4)
    timer, event, stream, datagram = box.drain()
    assert timer == Schedule(Tick(), 1.0)
    assert event == Notify(Stalled(2.0))
    assert isinstance(stream, OpenStream)
    assert (stream.number, stream.address, stream.limit_s) == (number, address("a"), 3.0)
    assert opened(stream.data).messages == (Ping(1, "a"),)
    assert isinstance(datagram, SendDatagram)
    assert opened(datagram.data).messages == (Ack(2),)
    assert opened(datagram.data).sender == Sender("m", life("m"))
    assert box.drain() == []


def test_streams_have_numbers_of_their_own() -> None:
    box = Rig().outbox
    assert box.open_stream(address("a"), Ack(1), 1.0) != box.open_stream(address("a"), Ack(1), 1.0)


def test_rumours_fill_a_packet_up_to_its_bound_and_not_above() -> None:
    rig = Rig()
    big = record("a")._replace(metadata=b"x" * 500)
    for name in "abcd":
        rig.outbox.rumours.add(name, encode(Alive(big._replace(name=name))))
    rig.outbox.send(address("z"), (Ping(1, "z"),), 1)
    (datagram,) = rig.sent().datagrams
    assert len(opened(datagram.data).messages) == 3
    room_bytes = rig.timing.packet_max_bytes - rig.timing.packet_overhead_bytes
    assert len(datagram.data) <= room_bytes
    assert len(rig.outbox.rumours) == 2


def test_nothing_to_say_is_not_sent() -> None:
    rig = Rig()
    rig.outbox.send(address("a"), (), 4)
    assert rig.sent().datagrams == []
