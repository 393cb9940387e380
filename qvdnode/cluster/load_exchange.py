"""Passes the load of the farm's nodes on, in the thread and through the port of the membership."""

from typing import Final

from qvdnode.cluster.core.load_table import LoadTable
from qvdnode.cluster.core.swim.effects import SendDatagram
from qvdnode.cluster.core.swim.members import Members
from qvdnode.cluster.core.swim.timing import Timing
from qvdnode.wire.load_record import decode_load, encode_load, records_per_datagram
from qvdnode.wire.swim import farm_tag

ONE: Final = 1
"""Member that each datagram goes to."""


class LoadExchange:
    """What to send and what came, as plain datagrams; the caller encrypts and sends."""

    def __init__(self, farm: str, table: LoadTable, timing: Timing) -> None:
        self._tag = farm_tag(farm)
        self._table = table
        self._room = records_per_datagram(timing.packet_max_bytes - timing.packet_overhead_bytes)

    def round(self, members: Members, now_s: float) -> SendDatagram | None:
        """The datagram of this round, or None when there is no news or nobody to tell."""
        self._table.tick(now_s)
        for member in members.some_up(ONE):
            records = self._table.datagram(self._room, members.size, now_s)
            if records:
                return SendDatagram(member.record.address, encode_load(self._tag, records))
        return None

    def received(self, plain: bytes, now_s: float) -> None:
        """Take a decrypted datagram of load; raises SwimError, and nothing has changed then."""
        self._table.receive(decode_load(plain, self._tag), now_s)
