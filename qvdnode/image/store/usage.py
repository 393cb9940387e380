"""What a store takes of the disk. Everything blocks."""

from dataclasses import dataclass
from pathlib import Path

from qvdnode.image.store.repository import Repository, told


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts, and bytes on the disk."""

    commits: int = 0
    objects: int = 0
    object_bytes: int = 0
    metadata_bytes: int = 0
    """Manifests and EROFS images."""
    checkout_bytes: int = 0
    """Files of checkouts, where the kernel cannot mount metadata."""
    quarantine_bytes: int = 0


def usage(store: Repository) -> Usage:
    """Count all of it; raises HostFailed."""
    places = store.places
    with told("the store cannot be measured"):
        objects, object_bytes = _sum(places.objects)
        return Usage(
            commits=len(store.commit_names()),
            objects=objects,
            object_bytes=object_bytes,
            metadata_bytes=_sum(places.manifests)[1] + _sum(places.metadata)[1],
            checkout_bytes=_sum(places.shapes)[1],
            quarantine_bytes=_sum(places.quarantine)[1],
        )


def _sum(folder: Path) -> tuple[int, int]:
    files = [path.lstat() for path in folder.rglob("*") if path.is_file()]
    return len(files), sum(facts.st_blocks for facts in files) * 512
