"""How long a node waits for another one, and how much it keeps for it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """Limits of the connections between two nodes; the same in the whole farm."""

    ping_every_s: float = 1.5
    silence_limit_s: float = 5.0
    """Without a byte for that long, the other node counts as away."""
    frame_limit_s: float = 10.0
    """For the rest of a frame that has begun."""
    opening_limit_s: float = 5.0
    """For the first words on a stream, and for the answer to them."""
    stream_silence_s: float = 12.0
    """So long the desktop's node may acknowledge, or take, nothing on a stream: then its host is
    dead or cut off, and the client is sent to look for its desktop. Hosts are near each other, and
    a host acknowledges also for a process that is stopped."""
    waiting_max_bytes: int = 8 << 20
    """More that the other node has yet to take, and its connection is ended."""
    calls_max: int = 1024
    """Calls of one node at the same time; more are refused."""
    grace_s: float = 15.0
    """A node without a connection for calls keeps its clients' seats for that long."""
    evict_limit_s: float = 5.0
    """For another node to end the stream of a client that was evicted."""
    redial_first_s: float = 0.25
    redial_most_s: float = 5.0
    """Pauses between attempts to reach a node: they double from the first to the longest."""
