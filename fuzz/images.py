"""What an administrator may import as an image."""

import contextlib
import gzip
import io
import lzma
import math
import tarfile
from typing import Final

from fuzz.target import Target
from qvdnode.image import tar_entries
from qvdnode.image.core import (
    artifact,
    bundle,
    commit,
    erofs,
    file_signatures,
    layers,
    locale_archive,
    oci,
    pack,
    refs,
    remote_address,
    revision,
    session_version,
)
from qvdnode.image.core import manifest as manifests
from qvdnode.image.core.entry import Entry, EntryKind, Tally, clean_path
from qvdnode.model.errors import BadImage, Invalid


def archive_names(data: bytes) -> None:
    """No name in an archive leads out of the image."""
    with contextlib.suppress(BadImage):
        parts = clean_path(data.decode("utf-8", "surrogateescape"))
        if {"", ".", ".."} & set(parts) or any("/" in part for part in parts):
            raise AssertionError(parts)


def archives(data: bytes) -> None:
    """Any archive is read or refused, and what is read can be written."""
    tally = Tally(max_entries=1_000, max_bytes=1 << 20)
    with contextlib.suppress(BadImage, *tar_entries.BROKEN):
        for entry, content in tar_entries.entries(io.BytesIO(data)):
            tally.take(entry)
            texts = (entry.name, entry.target, *entry.attributes)
            if any("\0" in text for text in texts) or not math.isfinite(entry.modified):
                raise AssertionError(entry)
            while content is not None and content.read(1 << 16):
                pass


def locale_archives(data: bytes) -> None:
    """Whatever an image has in the place of its locales, few names are looked for in it."""
    table = locale_archive.table_of(data)
    if table is not None:
        offset, size = table
        names = locale_archive.name_offsets(data[offset : offset + size])
        if len(names) > locale_archive.ENTRIES_MAX:
            raise AssertionError(len(names))
    locale_archive.filed_as(data.decode("latin-1"))


def starts(data: bytes) -> None:
    """Whatever an upload starts with, it is a tar, or something with a name, or neither."""
    if file_signatures.is_tar(data) and file_signatures.describe(data) is not None:
        raise AssertionError(data)


def session_scripts(data: bytes) -> None:
    """A session script of a known version is taken, any other refused."""
    with contextlib.suppress(BadImage):
        if session_version.check(data) not in session_version.KNOWN:
            raise AssertionError(data)


def manifest_texts(data: bytes) -> None:
    """A manifest is canonical and gives an image to mount, or it is refused."""
    with contextlib.suppress(BadImage):
        tree = manifests.decode(data)
        if manifests.encode(tree) != data:
            raise AssertionError(data)
        if len(erofs.image_of(tree)) % erofs.BLOCK:
            raise AssertionError(data)


def commit_objects(data: bytes) -> None:
    """A commit is canonical, or it is refused."""
    with contextlib.suppress(BadImage):
        if commit.encode(commit.decode(data)) != data:
            raise AssertionError(data)


def bundles(data: bytes) -> None:
    """Whatever another node sends as objects, no more than was asked for is taken."""
    objects = [(f"{number:064x}", 65 + number) for number in range(3)]
    taken = dict.fromkeys((digest for digest, _ in objects), 0)
    reader = bundle.BundleReader(objects)
    with contextlib.suppress(BadImage):
        for piece in reader.feed(data):
            if isinstance(piece, bundle.Piece):
                taken[piece.digest] += len(piece.content)
    if any(taken[digest] > size for digest, size in objects):
        raise AssertionError(taken)
    with contextlib.suppress(BadImage):
        bundle.chosen(objects, data)


def oci_documents(data: bytes) -> None:
    """Whatever a registry says, digests are digests."""
    for read in (oci.index, oci.manifest, oci.diff_ids, oci.docker_images):
        with contextlib.suppress(BadImage):
            read(data)
    with contextlib.suppress(BadImage):
        found = oci.manifest(data)
        for blob in (found.config, *found.layers):
            if not commit.is_name(blob.digest):
                raise AssertionError(blob)


def image_layers(data: bytes) -> None:
    """Layers in any order give a tree whose paths stay inside, or are refused."""
    tree = layers.LayerTree()
    with contextlib.suppress(BadImage):
        for line in data.split(b"\n")[:200]:
            kind, _, rest = line.partition(b" ")
            if kind == b"layer":
                tree.begin()
                continue
            name, _, target = rest.decode("utf-8", "surrogateescape").partition(" ")
            shape = LAYER_KINDS.get(kind, EntryKind.FILE)
            tree.take(Entry(name, shape, 0o644, 0, 0, 0.0, 1, target))
    for _, paths in tree.files().values():
        for path in paths:
            if {"", ".", ".."} & set(path.split("/")):
                raise AssertionError(path)


def remote_artifacts(data: bytes) -> None:
    """Whatever a remote says of a commit, names are digests and packs are few."""
    for read in (artifact.read_commit, artifact.read_delta):
        with contextlib.suppress(BadImage):
            read(data)
    with contextlib.suppress(BadImage):
        for names in artifact.read_list(data, 3):
            if not all(commit.is_name(name) for name in names):
                raise AssertionError(names)


def packs(data: bytes) -> None:
    """A pack in one piece and in small ones gives the same objects, or it is refused."""
    outcomes = []
    for size in (len(data) or 1, 7):
        reader, found = pack.PackReader(), []
        with contextlib.suppress(BadImage):
            for at in range(0, len(data), size):
                found += list(reader.feed(data[at : at + size]))
            outcomes.append((found, reader.done))
    if len(outcomes) == 2 and outcomes[0] != outcomes[1]:
        raise AssertionError(data)


def remote_addresses(data: bytes) -> None:
    """What an administrator writes for a remote, and what a registry asks for a login."""
    text = data.decode("latin-1")
    with contextlib.suppress(Invalid):
        remote_address.parse(text)
    with contextlib.suppress(BadImage):
        remote_address.challenge(text)
    with contextlib.suppress(BadImage):
        if remote_address.received(text) < 0:
            raise AssertionError(text)


def ref_logs(data: bytes) -> None:
    """A line of the log of branches is a move of a ref inside the store, or it is refused."""
    with contextlib.suppress(BadImage):
        if ".." in refs.decode_move(data).ref.split("/"):
            raise AssertionError(data)


def revisions(data: bytes) -> None:
    """Whatever is written for a revision leads to no path out of the store."""
    with contextlib.suppress(Invalid):
        path = revision.parse(data.decode("utf-8", "surrogateescape")).ref.path
        if len(path.split("/")) != 3 or {"", ".", ".."} & set(path.split("/")):
            raise AssertionError(path)


def _tar(**headers: str) -> bytes:
    """A small archive, without the zeros behind its end."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("./etc/passwd")
        member.size, member.pax_headers = 3, headers
        archive.addfile(member, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("./bin")
        link.type, link.linkname = tarfile.SYMTYPE, "usr/bin"
        archive.addfile(link)
    return stream.getvalue().rstrip(b"\0") + bytes(1_024)


MANIFEST: Final = manifests.HEADER + (
    b"/ d 755 0 0 0 - -\n/a f 644 0 0 5 65:" + b"ab" * 32 + b" user.a=ff\n/b h /a\n"
    b"/c%20 l 777 0 0 0 a -\n/d i 644 0 0 0 6869 -\n/n c 666 0 0 0 1:3 -\n"
)
COMMIT: Final = commit.encode(
    commit.Commit("0" * 64, ("1" * 64,), "ana", 5, "why", "tar", 7, {"a": "b"})
)
MOVE: Final = refs.encode_move(refs.Move("heads/icewm/main", None, "0" * 64, "ana", "why", 5))

LAYER_KINDS: Final = {
    b"d": EntryKind.FOLDER, b"l": EntryKind.SYMLINK, b"h": EntryKind.HARDLINK,
}  # fmt: skip

TARGETS: Final[dict[str, Target]] = {
    "archive_names": Target(
        archive_names, (b"./usr/lib/qvd/session", b"../etc/passwd", b"Windows/System32")
    ),
    "archives": Target(
        archives,
        (
            _tar(),
            _tar(mtime="1.5", **{"SCHILY.xattr.user.note": "x"}),
            gzip.compress(_tar(), mtime=0),
            lzma.compress(_tar()),
        ),
        weight=4,
    ),
    "image_starts": Target(starts, (_tar(), b"MSWIM\0\0\0", b"QFI\xfb")),
    "locale_archives": Target(
        locale_archives, (locale_archive.HEADER.pack(locale_archive.MAGIC, 0, 56, 1, 1, *[0] * 9),)
    ),
    "manifest_texts": Target(manifest_texts, (MANIFEST,), weight=2),
    "commit_objects": Target(commit_objects, (COMMIT,)),
    "remote_artifacts": Target(
        remote_artifacts, (b"{}", b'{"schemaVersion":2,"layers":[]}', b"[[]]")
    ),
    "packs": Target(
        packs,
        (
            pack.MAGIC + pack.head("ab" * 32) + b"".join(pack.chunks([b"xyz"])) + pack.END,
            pack.MAGIC + pack.head("ab" * 32, "cd" * 32) + b"".join(pack.chunks([])) + pack.END,
        ),
    ),
    "remote_addresses": Target(
        remote_addresses,
        (
            b"docker://registry.example:5000/lab",
            b"oci:/srv",
            b'Bearer realm="https://a/b"',
            b"0-99",
        ),
    ),
    "bundles": Target(
        bundles, (bundle.MISSING + bundle.HERE + bytes(66) + bundle.HERE + bytes(67), b"\x05")
    ),
    "oci_documents": Target(
        oci_documents,
        (
            oci.make_manifest(oci.Blob("a" * 64, 5), [oci.Blob("b" * 64, 5)]),
            oci.make_index(oci.Blob("a" * 64, 5), "3"),
            oci.make_docker_manifest(oci.DockerImage("c", ("l",), ("a:1",))),
        ),
    ),
    "image_layers": Target(
        image_layers,
        (b"layer\nd usr\nl bin usr\nf bin/a\nlayer\nh bin/b usr/a\nf usr/.wh.a\nf .wh..wh..opq",),
    ),
    "ref_logs": Target(ref_logs, (MOVE,)),
    "revisions": Target(revisions, (b"icewm/test@{1}~2", b"icewm:3", b"abc123~")),
    "session_scripts": Target(session_scripts, (b"#!/bin/sh\n# qvd-session-version: 1\n",)),
}
