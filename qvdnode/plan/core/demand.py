"""What a farm is planned for: its desktops, its nodes, and when users log in. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import asin, pi, sqrt
from typing import TYPE_CHECKING, Final

from qvdnode.model.errors import Invalid

if TYPE_CHECKING:
    import random

PERCENT: Final = 100


class Arrivals(StrEnum):
    """How the logins are spread over the window."""

    EVEN = "even"
    """At any moment of it alike, each user for himself."""
    PEAK = "peak"
    """Few at the beginning and the end, most in the middle."""
    BELL = "bell"
    """All within the first tenth, as when a school bell rings."""


@dataclass(frozen=True, slots=True)
class DesktopModel:
    """One desktop, as `make bench-startup` and `make desktops` measure it."""

    memory_mib: int
    """The flavour's limit, which is promised to it."""
    used_mib: int
    """What it really takes once it runs."""
    start_s: float
    """From the start slot to a desktop that listens, on a host with nothing else to do."""
    start_cpu_s: float
    """Processor time of a start."""
    busy_pct: float = 0.0
    """Percent of one core, once it runs."""

    def __post_init__(self) -> None:
        """Refuse what no desktop is like."""
        if self.memory_mib < 1 or self.used_mib < 0:
            raise Invalid("A desktop needs memory.", field="memory_mib")
        if self.start_s <= 0 or self.start_cpu_s < 0 or self.busy_pct < 0:
            raise Invalid("A desktop's start takes time, and nothing is negative.", field="start_s")


@dataclass(frozen=True, slots=True)
class NodeModel:
    """One node; all of a plan are alike."""

    memory_mib: int
    cores: int
    starts_at_once: int
    """`[vm] starts_at_once`."""
    host_reserve_mib: int = 1024
    """`[memory] host_reserve_mib`."""
    overcommit: float = 1.0
    """`[memory] overcommit`."""
    available_floor_mib: int = 256
    """`[memory] available_floor_mib`."""
    queue_max: int = 1000
    """`[vm] queue_max`."""
    guests_max: int = 4096
    """`[vm] id_slots`."""

    def __post_init__(self) -> None:
        """Refuse what no node is like."""
        if self.memory_mib <= self.host_reserve_mib:
            raise Invalid(
                f"A node with {self.memory_mib} MiB has no memory for desktops, since"
                f" {self.host_reserve_mib} MiB are kept for the host.",
                field="node_memory_mib",
            )
        if min(self.cores, self.starts_at_once) < 1 or self.queue_max < 0:
            raise Invalid("A node has a core and a start slot at least.", field="cores")


@dataclass(frozen=True, slots=True)
class Demand:
    """The users of a farm and their logins."""

    logins: int
    """How many log in within the window and have no desktop running."""
    window_s: float
    arrivals: Arrivals = Arrivals.EVEN
    running: int = 0
    """Desktops that run already when the window begins, spread over the nodes."""
    data_age_s: float = 2.0
    """How old the load figures that nodes have of each other become."""
    desktop: DesktopModel = field(default_factory=lambda: DesktopModel(1024, 96, 1.5, 1.0))

    def __post_init__(self) -> None:
        """Refuse what is not a demand."""
        if self.logins < 1 or self.window_s <= 0 or self.running < 0 or self.data_age_s < 0:
            raise Invalid("A plan needs logins and a window of time.", field="logins")


def login_times(demand: Demand, rng: "random.Random") -> list[float]:
    """When each login comes, in seconds from the window's beginning, ascending."""
    spread = SPREADS[demand.arrivals]
    return sorted(demand.window_s * spread(rng.random()) for _ in range(demand.logins))


def _even(share: float) -> float:
    return share


def _peak(share: float) -> float:
    """The inverse of the integral of a half sine wave."""
    return 2 * asin(sqrt(share)) / pi


def _bell(share: float) -> float:
    return share / 10


SPREADS: Final[Mapping[Arrivals, Callable[[float], float]]] = {
    Arrivals.EVEN: _even,
    Arrivals.PEAK: _peak,
    Arrivals.BELL: _bell,
}
"""Turns a number drawn evenly from 0..1 into the share of the window that has passed."""
