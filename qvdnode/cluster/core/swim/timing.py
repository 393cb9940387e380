"""How long the protocol waits and how often it repeats: memberlist's values for a local network."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Values that all members of a farm share."""

    probe_interval_s: float = 1.0
    """Between two probes of a healthy member; also the interval of the tick."""
    probe_timeout_s: float = 0.5
    """For the answer to a ping, before helpers are asked. Shorter than the interval."""
    relay_timeout_s: float = 0.4
    """For the answer to a ping on behalf of another; shorter, so that a Nack arrives in time."""
    indirect_probes: int = 3
    suspicion_multiplier: int = 4
    suspicion_max_multiplier: int = 6
    """The ratio of the longest suspicion to the shortest."""
    health_max: int = 7
    gossip_interval_s: float = 0.2
    gossip_members: int = 3
    """How many members each round of gossip goes to."""
    gossip_to_dead_s: float = 30.0
    """How long a dead member still gets gossip, so that it can refute its death."""
    retransmit_multiplier: int = 4
    exchange_interval_s: float = 30.0
    """Between two full exchanges with a random member, below 33 members."""
    reconnect_interval_s: float = 10.0
    """Between two attempts to reach a member or seed that is down."""
    left_kept_s: float = 86400.0
    """How long a member that left is remembered, so that no old rumour brings it back."""
    stall_s: float = 0.5
    """A tick this late means that this process was blocked."""
    packet_max_bytes: int = 1400
    """The largest datagram, without UDP and IP headers."""
    packet_overhead_bytes: int = 29
    """What encryption adds, as a part of `packet_max_bytes`."""

    def __post_init__(self) -> None:
        """Raise ValueError for values that contradict each other."""
        if not 0 < self.probe_timeout_s < self.probe_interval_s:
            raise ValueError("probe_timeout_s must lie between 0 and probe_interval_s")
        if not 0 < self.relay_timeout_s < self.probe_interval_s - self.probe_timeout_s:
            raise ValueError("relay_timeout_s must leave time for a Nack within the interval")
        if not 1200 <= self.packet_max_bytes <= 1400:  # fits IPv6's least MTU; Ethernet's
            raise ValueError("packet_max_bytes must lie between 1200 and 1400")

    def suspicion_min_s(self, members: int) -> float:
        """Return the shortest suspicion in a farm of this size."""
        return self.suspicion_multiplier * max(1.0, math.log10(members)) * self.probe_interval_s

    def suspicion_s(self, members: int, confirmations: int) -> float:
        """Return how long a suspicion with so many confirmations lasts.

        It starts long, and each independent confirmation shortens it: a failure that only one
        member sees is likely that member's own fault. With too few members to confirm, the
        suspicion is short at once.
        """
        shortest_s = self.suspicion_min_s(members)
        wanted = self.suspicion_multiplier - 2
        # Neither the accuser nor the accused can confirm.
        if members - 2 < wanted:
            return shortest_s
        longest_s = shortest_s * self.suspicion_max_multiplier
        part = math.log(confirmations + 1) / math.log(wanted + 1)
        return max(shortest_s, longest_s - (longest_s - shortest_s) * part)

    def retransmit_limit(self, members: int) -> int:
        """Return how often each member sends a rumour."""
        return self.retransmit_multiplier * math.ceil(math.log10(members + 1))

    def exchange_s(self, members: int) -> float:
        """Return the time between two exchanges; it grows with the farm to limit the traffic."""
        # The values of memberlist, so that the farms compare.
        return self.exchange_interval_s * max(1, math.ceil(math.log2(members) - 5) + 1)
