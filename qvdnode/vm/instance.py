"""Names and folders that all guests of one instance share; none of them is a setting."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Instance:
    """Follows from the node's settings; several instances can run on one host."""

    state_dir: Path
    """The node's state folder."""
    prefix: str = "qvd"
    """Every name that this instance gives on the host begins with it."""
    nameservers: tuple[str, ...] = ()
    """DNS servers of the guests."""
    search_domains: tuple[str, ...] = ()
    """Domains in which the guests look up names without a dot."""

    @property
    def state_files(self) -> Path:
        """One file per running VM."""
        return self.state_dir / "state"

    @property
    def past_starts(self) -> Path:
        """One file for each of the last starts of every VM."""
        return self.state_dir / "past-starts"

    @property
    def run_folders(self) -> Path:
        """One small folder per running VM, shared with its guest."""
        return self.state_dir / "run"
