"""Which node starts a VM: hard filters, then a score over a few sampled nodes. Pure.

The figures are seconds old, so choosing the best of all nodes would send many starts to one node;
the best of a few random nodes spreads them. The chosen node admits or refuses by its own current
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
"""A node gets no more guests while its guests wait for memory more often than this."""
LAG_LIMIT_S: Final = 0.1
HANGS_S: Final = 1.0
"""A node whose event loop is this late answers no client in time."""
SILENT_S: Final = 60.0
"""Figures this old say nothing; a node that is up repeats its own every 10 s."""
IMAGE_BITS: Final = 64

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


def image_bit(image_id: int, version: int) -> int:
    """The bit that stands for a version of an image; other versions may have the same one."""
    return (31 * image_id + version) % IMAGE_BITS


@dataclass(frozen=True, slots=True)
class Load:
    """The latest load figures of a node. Stalls are PSI's avg10, 0 where the kernel has none."""

    node_id: NodeId
    capacity_mib: int
    """The memory that may be promised to guests, by the host's reserve and the overcommit."""
    promised_mib: int
    """The memory limits of all guests it owns, starting ones too: they do not use it yet."""
    guests: int
    guests_max: int
    starts_waiting: int
    starts_waiting_max: int
    start_tokens: int
    start_tokens_free: int
    cores: int
    run_queue: float
    drivers: frozenset[str]
    """Drivers that can start guests there."""
    cpu_some_pct: float = 0.0
    memory_full_pct: float = 0.0
    io_some_pct: float = 0.0
    loop_lag_s: float = 0.0
    draining: bool = False
    suspect: bool = False
    database: bool = True
    """Whether the node reaches the farm's database."""
    images: int = 0
    """The bits of the image versions that it has (`image_bit`)."""
    age_s: float = 0.0
    """How long ago the node read these figures."""

    def may_have(self, bit: int) -> bool:
        """Whether it may have the version of that bit. False is certain; True may be wrong."""
        return bool(self.images >> bit & 1)

    @property
    def free_mib(self) -> int:
        """Memory that may be promised and is not."""
        return self.capacity_mib - self.promised_mib


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node, and which parts of the VM it already has."""

    load: Load
    ran_last: bool = False
    has_image: bool = False
    has_home: bool = False
    same_pool_share: float = 0.0
    """The share of its guests that belong to the same pool, 0..1."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be placed."""

    memory_mib: int
    driver: str
    image_bit: int | None = None
    """The bit of its image and version (`image_bit`). A node without it fetches the image."""
    home_node: NodeId | None = None
    """The node that the user's home was made on; None before there is one."""
    home_at: frozenset[NodeId] = frozenset()
    """The nodes that have it: that one, and those that share its homes."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A node that can take the VM, with its score and the parts of the score."""

    node_id: NodeId
    parts: tuple[tuple[str, float], ...]
    """What gave points, and how many; parts that gave none are left out."""

    @property
    def score(self) -> float:
        """The sum of the parts."""
        return sum(points for _, points in self.parts)

    @property
    def because(self) -> tuple[str, ...]:
        """The parts in words."""
        return tuple(f"{what} {points:+.1f}" for what, points in self.parts if round(points, 1))


@dataclass(frozen=True, slots=True)
class Refused:
    """A node that cannot take the VM, and why."""

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
    """Rank `sample` random nodes that can take the VM, and all that have its home or image."""
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


def verdict(wish: Wish, candidate: Candidate) -> Ranked | Refused:
    """What one node is worth for it now, or why it cannot take it."""
    why = refusal(wish, candidate.load)
    return rank(candidate) if why is None else Refused(candidate.load.node_id, why)


def refusal(wish: Wish, load: Load) -> str | None:
    """Return why this node cannot take the VM, or None; the hard filters."""
    waiting = counted(load.starts_waiting, "desktop")
    filters = (
        (
            wish.home_node is not None and load.node_id not in wish.home_at,
            "the user's home is on another node",
        ),
        (load.suspect, "it does not answer"),
        (load.age_s > SILENT_S, f"it has told nothing for {load.age_s:.0f} s"),
        (load.loop_lag_s > HANGS_S, f"its process is {load.loop_lag_s:.1f} s late"),
        (load.draining, "an administrator empties it"),
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
        (load.memory_full_pct > MEMORY_STALL_LIMIT_PCT, "its guests wait for memory too often"),
    )
    return next((sentence for applies, sentence in filters if applies), None)


def rank(candidate: Candidate) -> Ranked:
    """Score one node: the sum of weighted parts, each of them a reason."""
    load = candidate.load
    parts = (
        ("memory free", W_FREE_MEMORY * _share(load.free_mib, load.capacity_mib)),
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
    return Ranked(load.node_id, tuple(part for part in parts if part[1]))


def _share(part: float, whole: float) -> float:
    """Return part/whole, limited to 0..1; 0 when the whole is 0."""
    return min(max(part / whole, 0.0), 1.0) if whole > 0 else 0.0


def _pct(percent: float) -> float:
    return min(max(percent / 100, 0.0), 1.0)
