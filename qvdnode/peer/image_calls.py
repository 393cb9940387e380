"""What a node asks of another one on a connection for images (docs/peer-protocol.md)."""

from dataclasses import dataclass
from typing import Final

from qvdnode.peer.calls import QUICK_S, CallKind

BUSY: Final = "The node sends as many images as it may at the same time."


@dataclass(frozen=True, slots=True)
class PullCommit:
    """Send a commit: what it is, and its manifest."""

    commit: str


@dataclass(frozen=True, slots=True)
class CommitParts:
    """The answer; so many bytes of the packed manifest follow."""

    body: bytes
    """The commit's own text."""
    packed_bytes: int


@dataclass(frozen=True, slots=True)
class PullObjects:
    """Send the objects of the commit whose bits are set (image/core/bundle.py)."""

    wanted: bytes


PULL_COMMIT: Final[CallKind[PullCommit, CommitParts]] = CallKind(
    "pull_commit", PullCommit, CommitParts, QUICK_S
)
"""The first call on a connection for images."""
PULL_OBJECTS: Final[CallKind[PullObjects, None]] = CallKind(
    "pull_objects", PullObjects, None, QUICK_S
)
"""The second one; the stream of objects follows its answer."""
