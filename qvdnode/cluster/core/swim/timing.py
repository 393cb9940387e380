"""How long the protocol waits and how often it repeats: memberlist's values for a local network."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Values that all members of a farm share."""

    probe_interval_s: float = 1.0
    """Between two probes of a healthy member; also the interval of the tick."""
    probe_timeout_s: float = 0.5
    """For an answer to a ping, before others are asked. Shorter than the interval."""
    relay_timeout_s: float = 0.4
    """For an answer to a ping on behalf of another; shorter, so that a Nack still counts there."""
    indirect_probes: int = 3
    suspicion_multiplier: int = 4
    suspicion_max_multiplier: int = 6
    """The longest suspicion over the shortest."""
    health_max: int = 7
    gossip_interval_s: float = 0.2
    gossip_members: int = 3
    """Members that each round of gossip goes to."""
    gossip_to_dead_s: float = 30.0
    """How long a dead member still gets gossip, from which it learns to refute."""
    retransmit_multiplier: int = 4
    exchange_interval_s: float = 30.0
    """Between two exchanges of everything with a random member, below 33 members."""
    reconnect_interval_s: float = 10.0
    """Between two attempts at a member or seed that is down."""
    left_kept_s: float = 86400.0
    """How long a member that left is remembered, lest an old rumour brings it back."""
    stall_s: float = 0.5
    """A tick that is this late says that this process stood still."""
    packet_max_bytes: int = 1400
    """Of a datagram's content."""
    packet_overhead_bytes: int = 29
    """Of that, what encryption adds."""

    def __post_init__(self) -> None:
        """Refuse values that contradict each other; raises ValueError."""
        if not 0 < self.probe_timeout_s < self.probe_interval_s:
            raise ValueError("probe_timeout_s must lie between 0 and probe_interval_s")
        if not 0 < self.relay_timeout_s < self.probe_interval_s - self.probe_timeout_s:
            raise ValueError("relay_timeout_s must leave time for a Nack within the interval")
        if not 1200 <= self.packet_max_bytes <= 1400:  # fits IPv6's least MTU; Ethernet's
            raise ValueError("packet_max_bytes must lie between 1200 and 1400")

    def suspicion_min_s(self, members: int) -> float:
        """The shortest suspicion in a farm of so many."""
        return self.suspicion_multiplier * max(1.0, math.log10(members)) * self.probe_interval_s

    def suspicion_s(self, members: int, confirmations: int) -> float:
        """How long a suspicion lasts that so many others confirmed.

        It starts long, and each independent confirmation shortens it: what only one member sees is
        likely that member's own trouble. With too few members to confirm it is short at once.
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
        """How often each member passes a rumour on."""
        return self.retransmit_multiplier * math.ceil(math.log10(members + 1))

    def exchange_s(self, members: int) -> float:
        """Between two exchanges in a farm of so many: what all send together must not explode."""
        # The values of memberlist, so that the farms compare.
        return self.exchange_interval_s * max(1, math.ceil(math.log2(members) - 5) + 1)
