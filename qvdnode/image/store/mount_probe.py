"""Finds out how this kernel can mount a commit, by trying it. Blocks."""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from qvdnode.host import mounts
from qvdnode.host.mounts import Lower
from qvdnode.image.core import erofs
from qvdnode.image.core.manifest import ROOT, Kind, Node
from qvdnode.image.store.repository import Repository

CONTENT: Final = b"content of the file by which mounts are tried " * 4
OPTIONS: Final = ("metacopy=off", "metacopy=on")
"""Kernels from 6.16 or so need no metacopy for a data-only layer; it is better off, since then a
guest's own folder holds whole files only."""


class MountMode(StrEnum):
    """How commits are mounted."""

    EROFS = "erofs"
    """Metadata as an EROFS image, content from the store as a data-only layer."""
    CHECKOUT = "checkout"
    """A folder of hard links for each version, on kernels before 6.12."""


@dataclass(frozen=True, slots=True)
class Capability:
    """What this kernel can do."""

    mode: MountMode
    options: str = ""
    """Options of overlays with a data-only layer."""
    because: str = ""
    """Why not EROFS, if not."""


def probe(store: Repository, work: Path) -> Capability:
    """Try a tiny image in the empty folder `work`, which is empty again afterwards."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    data, meta, root, image = (work / name for name in ("data", "meta", "root", "image"))
    node = Node(Kind.FILE, 0o644, size=len(CONTENT), payload=digest.encode())
    content = data / erofs.object_path(digest)
    because = ""
    try:
        for folder in (content.parent, meta, root):
            store.files.make_folder(folder)
        content.write_bytes(CONTENT)
        image.write_bytes(erofs.image_of({ROOT: Node(Kind.FOLDER, 0o755), b"/file": node}))
        mounts.erofs(image, meta)
        for options in OPTIONS:
            try:
                mounts.read_only_overlay(Lower(meta, data, options), root)
                if (root / "file").read_bytes() == CONTENT:
                    return Capability(MountMode.EROFS, options)
                because = "an overlay with a data-only layer shows other content"
            except OSError as error:
                because = f"overlays here take no data-only layer ({error.strerror})"
            finally:
                mounts.unmount(root)
    except OSError as error:
        because = f"this kernel mounts no EROFS image from a file ({os.strerror(error.errno or 0)})"
    finally:
        for point in (root, meta):
            with suppress(OSError):
                mounts.unmount(point)
        with suppress(OSError):
            store.files.remove_tree(work)
    return Capability(MountMode.CHECKOUT, because=because)
