"""Which node starts a VM: hard filters, then a score over a few sampled nodes. Pure.

Choosing the best of all on figures that are seconds old sends everybody to the same node; the best
of a few random ones does not, and the node that is asked admits or refuses by its own fresh
figures. Every rank carries its reasons, for the log and for administrators.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qvdnode.model.ids import NodeId
from qvdnode.model.plurals import counted, verb

if TYPE_CHECKING:
    import random

MEMORY_STALL_LIMIT_PCT: Final = 5.0
"""A node whose guests stand still for want of memory this often gets no more of them."""
LAG_LIMIT_S: Final = 0.1

W_FREE_MEMORY: Final = 4.0
W_RUN_QUEUE: Final = 2.0
W_CPU_STALL: Final = 2.0
W_MEMORY_STALL: Final = 3.0
W_IO_STALL: Final = 1.0
W_IMAGE_HERE: Final = 3.0
W_HOME_HERE: Final = 6.0
W_START_TOKENS: Final = 3.0
W_SAME_POOL: Final = -1.0
W_LOOP_LAG: Final = -2.0


@dataclass(frozen=True, slots=True)
class Load:
    """How a node is doing, as it told last. Stalls are PSI's avg10, 0 where the kernel has none."""

    node_id: NodeId
    total_mib: int
    reserve_mib: int
    """Kept for the host itself."""
    promised_mib: int
    """The full size of every guest it owns, starting ones too: they have not touched it yet."""
    guests: int
    guests_max: int
    starts_waiting: int
    starts_waiting_max: int
    start_tokens: int
    start_tokens_free: int
    cores: int
    run_queue: float
    drivers: frozenset[str]
    """Those that can start guests there."""
    cpu_some_pct: float = 0.0
    memory_full_pct: float = 0.0
    io_some_pct: float = 0.0
    loop_lag_s: float = 0.0
    draining: bool = False
    suspect: bool = False

    @property
    def free_mib(self) -> int:
        """Memory that is neither the host's nor promised."""
        return self.total_mib - self.reserve_mib - self.promised_mib


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node, and what it has of the VM in question."""

    load: Load
    ran_last: bool = False
    has_image: bool = False
    has_home: bool = False
    same_pool_share: float = 0.0
    """The part of its guests that are of the same pool, 0..1."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be placed."""

    memory_mib: int
    driver: str


@dataclass(frozen=True, slots=True)
class Ranked:
    """A node that can take the VM, with its score and what made it."""

    node_id: NodeId
    score: float
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A node that cannot, and why."""

    node_id: NodeId
    because: str


@dataclass(frozen=True, slots=True)
class Placement:
    """The sampled nodes, best first, and those that were filtered out."""

    ranked: tuple[Ranked, ...]
    refused: tuple[Refused, ...]


def place(
    wish: Wish, candidates: Sequence[Candidate], rng: "random.Random", *, sample: int = 2
) -> Placement:
    """Rank `sample` random nodes that can take it, besides those that have something of it."""
    verdicts = [(candidate, refusal(wish, candidate.load)) for candidate in candidates]
    refused = tuple(Refused(c.load.node_id, why) for c, why in verdicts if why is not None)
    feasible = [candidate for candidate, why in verdicts if why is None]
    at_home = [c for c in feasible if c.ran_last or c.has_home]
    with_image = [c for c in feasible if c.has_image and c not in at_home]
    others = [c for c in feasible if c not in at_home]
    drawn = rng.sample(others, min(sample, len(others)))
    if with_image and not any(c.has_image for c in drawn):
        drawn.append(rng.choice(with_image))
    ranked = sorted((rank(c) for c in [*at_home, *drawn]), key=lambda r: r.score, reverse=True)
    return Placement(tuple(ranked), refused)


def refusal(wish: Wish, load: Load) -> str | None:
    """The hard filters: why this node cannot take it, or None."""
    waiting = counted(load.starts_waiting, "desktop")
    filters = (
        (load.suspect, "it does not answer"),
        (load.draining, "it is being emptied"),
        (wish.driver not in load.drivers, f"it has no driver {wish.driver}"),
        (
            load.free_mib < wish.memory_mib,
            f"{max(load.free_mib, 0)} MiB of memory are left, {wish.memory_mib} are needed",
        ),
        (
            load.guests >= load.guests_max,
            f"it runs {counted(load.guests, 'desktop')}, which is its limit",
        ),
        (
            load.start_tokens_free <= 0 and load.starts_waiting >= load.starts_waiting_max,
            f"{waiting} {verb(load.starts_waiting, 'wait')} to be started already",
        ),
        (load.memory_full_pct > MEMORY_STALL_LIMIT_PCT, "its guests stall for want of memory"),
    )
    return next((sentence for applies, sentence in filters if applies), None)


def rank(candidate: Candidate) -> Ranked:
    """The score of one node as the sum of its parts, each told as a reason."""
    load = candidate.load
    parts = (
        ("memory free", W_FREE_MEMORY * _share(load.free_mib, load.total_mib)),
        ("processor free", W_RUN_QUEUE * (1 - _share(load.run_queue, load.cores))),
        ("processor stalls", W_CPU_STALL * (1 - _pct(load.cpu_some_pct))),
        ("memory stalls", W_MEMORY_STALL * (1 - _pct(load.memory_full_pct * 10))),
        ("disk stalls", W_IO_STALL * (1 - _pct(load.io_some_pct))),
        ("image here", W_IMAGE_HERE * candidate.has_image),
        ("home here", W_HOME_HERE * (candidate.has_home or candidate.ran_last)),
        ("start tokens", W_START_TOKENS * _share(load.start_tokens_free, load.start_tokens)),
        ("same pool", W_SAME_POOL * candidate.same_pool_share),
        ("slow loop", W_LOOP_LAG * (load.loop_lag_s > LAG_LIMIT_S)),
    )
    because = tuple(f"{what} {points:+.1f}" for what, points in parts if round(points, 1))
    return Ranked(load.node_id, sum(points for _, points in parts), because)


def _share(part: float, whole: float) -> float:
    """Part of the whole, held within 0..1; nothing of nothing is nothing."""
    return min(max(part / whole, 0.0), 1.0) if whole > 0 else 0.0


def _pct(percent: float) -> float:
    return min(max(percent / 100, 0.0), 1.0)
