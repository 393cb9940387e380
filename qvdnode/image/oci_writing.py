"""Writes a tar of a root file system as an OCI layout or a Docker archive. Everything blocks."""

import gzip
import hashlib
import io
import platform
import shutil
import tarfile
from pathlib import Path
from typing import Final

from qvdnode.image.core import oci
from qvdnode.image.oci_layers import ARCHITECTURES
from qvdnode.model.errors import Conflict

GZIP_LEVEL: Final = 1
"""A higher one takes several times as long for some percent."""


class LayoutWriter:
    """An OCI layout with one image of one layer; nothing is at `folder` before `finish`."""

    def __init__(self, folder: Path, tag: str) -> None:
        """Raises Conflict when there is something, OSError."""
        if folder.exists():
            raise Conflict(f"{folder} exists already.")
        self._folder, self._tag = folder, tag
        self._work = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(self._work, ignore_errors=True)
        self._blobs = self._work / "blobs" / "sha256"
        self._blobs.mkdir(parents=True)
        self._layer = _HashedFile(self._blobs / "layer")
        self._packer = gzip.GzipFile(
            filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=self._layer, mtime=0
        )
        self._plain = hashlib.sha256()

    def write(self, piece: bytes) -> None:
        """A piece of the tar; raises OSError."""
        self._plain.update(piece)
        self._packer.write(piece)

    def finish(self, created_at: int) -> str:
        """Write the documents; returns the digest of the image's manifest."""
        self._packer.close()
        self._layer.close()
        layer = oci.Blob(self._layer.digest, self._layer.size, oci.LAYER)
        (self._blobs / "layer").rename(self._blobs / layer.digest)
        architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
        config = self._document(
            oci.make_config([self._plain.hexdigest()], architecture, created_at), oci.CONFIG
        )
        image = self._document(oci.make_manifest(config, [layer]), oci.MANIFEST)
        (self._work / "oci-layout").write_bytes(oci.LAYOUT)
        (self._work / "index.json").write_bytes(oci.make_index(image, self._tag))
        self._work.rename(self._folder)
        return image.digest

    def abandon(self) -> None:
        """Remove what was written."""
        self._layer.close()
        shutil.rmtree(self._work, ignore_errors=True)

    def _document(self, content: bytes, kind: str) -> oci.Blob:
        blob = oci.Blob(oci.digest_of(content), len(content), kind)
        (self._blobs / blob.digest).write_bytes(content)
        return blob


class DockerWriter:
    """A Docker archive with one image of one layer; nothing is at `file` before `finish`."""

    def __init__(self, file: Path, tag: str) -> None:
        """Raises Conflict when there is something, OSError."""
        if file.exists():
            raise Conflict(f"{file} exists already.")
        self._file, self._tag = file, tag
        self._work = file.with_name(f".{file.name}.part")
        self._layer = _HashedFile(file.with_name(f".{file.name}.layer"))

    def write(self, piece: bytes) -> None:
        """A piece of the tar; raises OSError."""
        self._layer.write(piece)

    def finish(self, created_at: int) -> str:
        """Write the archive; returns the digest of the image's configuration."""
        self._layer.close()
        digest = self._layer.digest
        architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
        config = oci.make_config([digest], architecture, created_at)
        image = oci.DockerImage(
            f"{oci.digest_of(config)}.json", (f"{digest}/layer.tar",), (self._tag,)
        )
        with tarfile.open(self._work, "w:", format=tarfile.PAX_FORMAT) as archive:
            _add(archive, image.config, config)
            _add(archive, "manifest.json", oci.make_docker_manifest(image))
            info = tarfile.TarInfo(image.layers[0])
            info.size = self._layer.size
            with self._layer.path.open("rb") as layer:
                archive.addfile(info, layer)
        self._layer.path.unlink()
        self._work.rename(self._file)
        return oci.digest_of(config)

    def abandon(self) -> None:
        """Remove what was written."""
        self._layer.close()
        for path in (self._layer.path, self._work):
            path.unlink(missing_ok=True)


class TarWriter:
    """A tar as it is; nothing is at `file` before `finish`."""

    def __init__(self, file: Path, _tag: str = "") -> None:
        """Raises Conflict when there is something, OSError."""
        if file.exists():
            raise Conflict(f"{file} exists already.")
        self._file = file
        self._tar = _HashedFile(file.with_name(f".{file.name}.part"))

    def write(self, piece: bytes) -> None:
        """A piece of the tar; raises OSError."""
        self._tar.write(piece)

    def finish(self, _created_at: int) -> str:
        """Put it in place; returns its digest."""
        self._tar.close()
        self._tar.path.rename(self._file)
        return self._tar.digest

    def abandon(self) -> None:
        """Remove what was written."""
        self._tar.close()
        self._tar.path.unlink(missing_ok=True)


class _HashedFile(io.RawIOBase):
    """A file that is written and hashed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._file = path.open("wb")
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """Digest of what was written."""
        return self._hash.hexdigest()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: "bytes | memoryview") -> int:  # type: ignore[override]  # no other buffers come
        """As RawIOBase."""
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    def close(self) -> None:
        """Close the file; safe to repeat."""
        self._file.close()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))
