"""What members cost: bytes on the loopback of this network namespace, processor time, memory."""

import os
import socket
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ALL_PROTOCOLS: Final = 3
OUTGOING: Final = 4
SO_RCVBUFFORCE: Final = 33
BUFFER_BYTES: Final = 64 << 20
IPV4: Final = 4
UDP: Final = 17


@dataclass(slots=True)
class Traffic:
    """What a group of members sent, IP headers included."""

    udp_bytes: int = 0
    udp_packets: int = 0
    tcp_bytes: int = 0

    def less(self, before: "Traffic") -> "Traffic":
        """What came in between."""
        return Traffic(
            self.udp_bytes - before.udp_bytes,
            self.udp_packets - before.udp_packets,
            self.tcp_bytes - before.tcp_bytes,
        )

    def copy(self) -> "Traffic":
        """What it is now."""
        return self.less(Traffic())


class Meter:
    """Counts every packet of the loopback once, by the network that one of its ends is in.

    A dialler over TCP is not bound to its address, so one of the two ends has to do.
    """

    def __init__(self, *networks: str) -> None:
        """Take networks such as "127.0.1."."""
        self._groups = {network: Traffic() for network in networks}
        self._socket = socket.socket(
            socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL_PROTOCOLS)
        )
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        self._socket.bind(("lo", ALL_PROTOCOLS))
        threading.Thread(target=self._run, name="meter", daemon=True).start()

    def traffic(self, network: str) -> Traffic:
        """What that network's members sent so far."""
        return self._groups[network].copy()

    def _run(self) -> None:
        buffer = bytearray(64)
        while True:
            _, _, _, address = self._socket.recvmsg_into([buffer])
            if address[2] == OUTGOING and buffer[0] >> 4 == IPV4:
                self._count(buffer)

    def _count(self, header: bytearray) -> None:
        ends = (socket.inet_ntoa(header[12:16]), socket.inet_ntoa(header[16:20]))
        for network, traffic in self._groups.items():
            if any(end.startswith(network) for end in ends):
                (length,) = struct.unpack_from("!H", header, 2)
                if header[9] == UDP:
                    traffic.udp_bytes += length
                    traffic.udp_packets += 1
                else:
                    traffic.tcp_bytes += length


def cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
