"""Files that hold what came from a remote, or goes to one. Everything blocks."""

import hashlib
import os
from pathlib import Path
from typing import Final

from qvdnode.image.core.oci import Blob
from qvdnode.model.errors import BadImage

CHUNK: Final = 1 << 20


def check_blob(blob: Blob, path: Path, where: str) -> None:
    """Raise BadImage, and remove the file, when it is not that blob; raises OSError."""
    found = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(CHUNK):
            found.update(chunk)
        size = os.fstat(stream.fileno()).st_size
    if size != blob.size or found.hexdigest() != blob.digest:
        path.unlink()
        raise BadImage(f"{where} sent another content for {blob.digest}")


def blob_of(path: Path, media_type: str) -> Blob:
    """The blob that a file is; raises OSError."""
    found, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(CHUNK):
            found.update(chunk)
            size += len(chunk)
    return Blob(found.hexdigest(), size, media_type)
