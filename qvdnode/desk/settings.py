"""Settings of desktops in the browser."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BrowserSettings:
    """The `[browser]` section: desktops that are used in a web browser."""

    enabled: bool = True
    """Whether users may open their desktops in a browser at this node."""
    sessions_max: int = 500
    """Desktops in browsers at once; one costs 20 to 35 MB of memory."""
    memory_mib: int = 192
    """The most memory that one of them may use before the kernel ends it."""
    cpu_pct: int = 200
    """The most processor time that one of them may use; 100 is one core. A guest decides what is
    drawn, and its own limit does not count that."""
    starts_at_once: int = 8
    """How many are begun at the same time; the others wait."""
    clipboard_in: bool = True
    """Whether texts may be pasted from the user's machine into the desktop."""
    clipboard_out: bool = True
    """Whether texts that are copied in the desktop reach the user's machine."""

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot work."""
        if not 0 <= self.sessions_max <= 60_000:
            raise ValueError("sessions_max must be 0..60000")
        if not 64 <= self.memory_mib <= 4096:
            raise ValueError("memory_mib must be 64..4096")
        if not 10 <= self.cpu_pct <= 6400:
            raise ValueError("cpu_pct must be 10..6400")
        if not 1 <= self.starts_at_once <= 1000:
            raise ValueError("starts_at_once must be 1..1000")
