"""Settings of images, root file systems and homes."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


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
    """Free space in the state folder below which no desktop starts and no import goes on."""
    size_limits: SizeLimits = SizeLimits.AUTO
    """`project` quota of the file system, `loop` for files of a limited size, or `auto`: project
    quota where the file system has it."""
    quota_project_base: int = 0x2000_0000
    """First project id of those given to roots and homes; instances on one host need their own."""
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
        """Refuse what could never work."""
        if any(character in str(self.state_dir) for character in ",:\\"):
            raise ValueError("state_dir must not hold , : or \\, which overlays cannot name")
        if self.free_floor_mib < 0:
            raise ValueError("free_floor_mib must not be negative")
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
