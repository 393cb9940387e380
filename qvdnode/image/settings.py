"""Settings of images, root file systems and homes."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

MAX_OVERCOMMIT: Final = 16.0
SNAPSHOTS_MAX: Final = 1_000
"""Snapshots of a home that stay for each of hours, days and weeks."""


class VersionMounts(StrEnum):
    """How versions of images are mounted for guests."""

    AUTO = "auto"
    EROFS = "erofs"
    CHECKOUT = "checkout"


class SizeLimits(StrEnum):
    """How the sizes that flavours give are enforced."""

    AUTO = "auto"
    PROJECT = "project"
    LOOP = "loop"


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """The `[image]` section."""

    state_dir: Path = Path("/var/lib/qvdnode")
    """Where images, homes and running guests are kept; taken from the node's own setting.
    Without links in it, because the kernel lists mounts so."""
    free_floor_mib: int = 2_048
    """Free space in the state folder below which no desktop starts and no import goes on. With
    `disk_overcommit` above 1 it must be more than the disk takes in a second, or a desktop can fill
    the disk between two checks, and others lose what they write."""
    free_alarm_mib: int = 0
    """Free space below which a desktop that would soon take the rest is stopped, the greatest
    writer first; 0 is twice `free_floor_mib`. Below the floor every desktop that goes on writing to
    the disk is ended."""
    disk_overcommit: float = 1.0
    """How many times the disk space may be promised to roots and homes, by the sizes in their
    flavours. With 1 it cannot run out; with more it can, if desktops use all they were given."""
    disk_preallocate: bool = False
    """Whether roots and homes take their full size on the disk at once, so that no write in them
    can fail for lack of space outside. It needs `size_limits` to be `loop`."""
    size_limits: SizeLimits = SizeLimits.AUTO
    """`project` quota of the file system, `loop` for files of a limited size, or `auto`: project
    quota where the file system has it."""
    version_mounts: VersionMounts = VersionMounts.AUTO
    """How versions of images are mounted: `erofs` for metadata images (Linux 6.12 or newer),
    `checkout` for folders of hard links, or `auto`: erofs where the kernel can."""
    quota_project_base: int = 0x2000_0000
    """First project id of those given to roots and homes; instances on one host need their own."""
    homes_shared: bool = False
    """Whether `homes/` in the state folder is a mount that all nodes of the farm share. Then
    desktops start on any of them with the same home, and a flavour's `takeover` works. Sizes of
    homes are the file server's to limit. The node tries the mount out when it starts."""
    home_snapshot_minutes: int = 0
    """Every so many minutes each home that has changed gets a snapshot, from which its user can
    get files back; 0 for none."""
    home_snapshots_hourly: int = 24
    """For how many hours the last snapshot of each hour stays."""
    home_snapshots_daily: int = 14
    """For how many days the last snapshot of each day stays."""
    home_snapshots_weekly: int = 8
    """For how many weeks the last snapshot of each week stays."""
    home_snapshots_max_mib: int = 4_096
    """What the snapshots of one user may take of the disk together, compressed and with equal
    content stored once; beyond it the oldest are removed."""
    import_max_mib: int = 32_768
    """Size of an image's files, unpacked, beyond which an import is refused."""
    import_max_entries: int = 2_000_000
    """Files and folders of an image beyond which an import is refused."""
    import_limit_s: float = 3_600.0
    """How long one import may take."""
    import_rate_min_kib_s: int = 64
    """Least rate of an upload, on average over `import_rate_window_s` of waiting for it: with
    less an image takes hours. A slower sender is refused and makes room for others."""
    import_rate_window_s: float = 30.0
    """How long an upload may be silent or too slow."""
    import_wait_s: float = 120.0
    """How long an upload waits while two others are taken in; then it is refused, to try again."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if any(character in str(self.state_dir) for character in ",:\\"):
            raise ValueError("state_dir must not hold , : or \\, which overlays cannot name")
        if self.free_floor_mib < 0:
            raise ValueError("free_floor_mib must not be negative")
        if self.free_alarm_mib and self.free_alarm_mib < self.free_floor_mib:
            raise ValueError("free_alarm_mib must be 0 or at least free_floor_mib")
        if not 0 < self.disk_overcommit <= MAX_OVERCOMMIT:
            raise ValueError(
                f"disk_overcommit must be greater than 0 and at most {MAX_OVERCOMMIT:g}"
            )
        if self.disk_preallocate and self.size_limits is SizeLimits.PROJECT:
            raise ValueError(
                "disk_preallocate needs size_limits to be loop: quota reserves nothing"
            )
        self._check_home_snapshots()
        if not 1 <= self.quota_project_base <= 0x7FFF_FFFF:
            raise ValueError("quota_project_base must be 1..2147483647")
        if self.import_max_mib < 1 or self.import_max_entries < 1:
            raise ValueError("the limits of an import must be at least 1")
        if min(self.import_limit_s, self.import_rate_window_s, self.import_wait_s) <= 0:
            raise ValueError(
                "import_limit_s, import_rate_window_s and import_wait_s must be positive"
            )
        if self.import_rate_min_kib_s < 1:
            raise ValueError("import_rate_min_kib_s must be at least 1")

    def _check_home_snapshots(self) -> None:
        counts = (
            self.home_snapshots_hourly, self.home_snapshots_daily, self.home_snapshots_weekly,
        )  # fmt: skip
        if not all(0 <= count <= SNAPSHOTS_MAX for count in counts):
            raise ValueError(
                f"home_snapshots_hourly, _daily and _weekly must be 0 to {SNAPSHOTS_MAX}"
            )
        if self.home_snapshot_minutes < 0 or self.home_snapshots_max_mib < 1:
            raise ValueError(
                "home_snapshot_minutes must not be negative, home_snapshots_max_mib at least 1"
            )

    @property
    def alarm_mib(self) -> int:
        """Free space below which the disk watch may stop desktops."""
        return self.free_alarm_mib or 2 * self.free_floor_mib
