"""What a density run is asked for, and what it found."""

from dataclasses import dataclass, field

from bench.density_meter import Sample
from bench.density_typing import Echoes


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for on the command line."""

    desktops: int
    connected: int
    image: str
    logins_per_min: float
    sample: int
    """How many hibernated desktops are reconnected."""
    floor_mib: int
    limit_s: float
    typists: int = 20
    stay_s: float = 0.0
    """How long who leaves is connected; 0: until all are."""
    settle_s: float = 30.0
    echo_s: float = 30.0
    memory_mib: int = 320
    """Of the flavour."""
    browser: bool = False
    """Whether Firefox with a local page is open on each desktop instead of an editor."""


@dataclass(slots=True)
class Run:
    """What one run found."""

    login_s: list[float] = field(default_factory=list)
    """From the request to the window, the desktop stopped before."""
    reconnect_s: list[float] = field(default_factory=list)
    """The same of desktops that were there, suspended where none hibernates."""
    thaw_s: list[float] = field(default_factory=list)
    """Of those, the ones that were hibernated."""
    thaw_again_s: list[float] = field(default_factory=list)
    """Those that were hibernated a second time, after they had been used for a while."""
    errors: list[str] = field(default_factory=list)
    fill_s: float = 0.0
    fill_cpu_s: float = 0.0
    """Processor time of the host during the fill, less that of the load generator."""
    hibernate_s: float | None = None
    """Until the memory of all who left was pushed to swap."""
    hibernate300_s: float | None = None
    hibernate_cores: float | None = None
    """How many cores the host used meanwhile."""
    idle_cpu_pct: float | None = None
    """Of one core, for each connected desktop whose user does nothing."""
    echo_few: Echoes | None = None
    echo_all: Echoes | None = None
    stopped_because: str | None = None
    marks: dict[str, Sample] = field(default_factory=dict)
    """The sample at the end of each phase."""
    pss_mib: dict[str, float | None] = field(default_factory=dict)
    """Of a desktop's processes, at the end of each phase."""
    generator_mib: dict[str, float] = field(default_factory=dict)
    asleep_mib: tuple[float, float] | None = None
    """Of a hibernated desktop: in memory, and in swap before compression."""
