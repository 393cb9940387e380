"""Collects effects and builds packets: a header, the messages, and rumours that fit."""

from qvdnode.cluster.core.swim.effects import (
    Effect,
    Event,
    Notify,
    OpenStream,
    Schedule,
    SendDatagram,
    Timer,
)
from qvdnode.cluster.core.swim.own_record import OwnRecord
from qvdnode.cluster.core.swim.rumours import Rumours
from qvdnode.cluster.core.swim.timing import Timing
from qvdnode.wire.swim import Address, Message, Sender, encode, encode_header


class Outbox:
    """The effects of one call, in order, and the rumours that fill up each packet."""

    def __init__(self, tag: bytes, own: OwnRecord, timing: Timing) -> None:
        self._tag = tag
        self._own = own
        self._room_bytes = timing.packet_max_bytes - timing.packet_overhead_bytes
        self._effects: list[Effect] = []
        self._streams = 0
        self.rumours = Rumours()

    def drain(self) -> list[Effect]:
        """Return the effects since the last call, and forget them."""
        effects, self._effects = self._effects, []
        return effects

    def message(self, *messages: Message) -> bytes:
        """Encode a stream message with its header."""
        return self._header() + b"".join(map(encode, messages))

    def send(self, address: Address, messages: tuple[Message, ...], retransmit_limit: int) -> None:
        """Send the messages and as many rumours as fit; no packet when there is neither."""
        packet = self.message(*messages)
        rumours = self.rumours.take(self._room_bytes - len(packet), retransmit_limit)
        if messages or rumours:
            self._effects.append(SendDatagram(address, b"".join((packet, *rumours))))

    def open_stream(self, address: Address, message: Message, limit_s: float) -> int:
        """Send a message over TCP; return the number that its answer will carry."""
        self._streams += 1
        self._effects.append(OpenStream(self._streams, address, self.message(message), limit_s))
        return self._streams

    def schedule(self, timer: Timer, delay_s: float) -> None:
        """Schedule a timer."""
        self._effects.append(Schedule(timer, delay_s))

    def notify(self, event: Event) -> None:
        """Pass an event to the node."""
        self._effects.append(Notify(event))

    def _header(self) -> bytes:
        record = self._own.record
        return encode_header(self._tag, Sender(record.name, record.incarnation))
