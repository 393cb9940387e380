"""Root file systems as OCI images, and back: nothing is lost; what lies is refused."""

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from qvdnode.image import tar_entries
from qvdnode.image.core import oci
from qvdnode.image.core.entry import Entry, EntryKind, clean_path
from qvdnode.image.core.manifest import Kind, Node, Tree
from qvdnode.image.oci_layers import flattened, of_docker_archive, of_layout
from qvdnode.image.oci_writing import DockerWriter, LayoutWriter, TarWriter
from qvdnode.image.store.repository import Repository
from qvdnode.image.tar_export import tar_of_commit
from qvdnode.model.errors import BadImage, Conflict
from tests.integration.image.store.made import committed, new_store, odd_tree

Facts = dict[bytes, tuple[object, ...]]
KINDS = {
    EntryKind.FOLDER: Kind.FOLDER, EntryKind.SYMLINK: Kind.SYMLINK, EntryKind.FIFO: Kind.FIFO,
}  # fmt: skip


def facts_of_tree(store: Repository, tree: Tree) -> Facts:
    """What a tree says of each path, but of sockets, and of links by what they lead to."""
    found: Facts = {}
    for path, node in tree.items():
        if node.kind == Kind.SOCKET:
            continue
        whole = tree[node.payload] if node.kind == Kind.HARDLINK else node
        content = _content(store, whole)
        xattrs = tuple((n, v) for n, v in whole.xattrs if not n.startswith(b"trusted."))
        found[path] = (
            "f" if whole.kind in {Kind.FILE, Kind.INLINE} else whole.kind,
            whole.mode, whole.uid, whole.gid, whole.mtime_ns, whole.size, content, xattrs,
        )  # fmt: skip
    return found


def _content(store: Repository, node: Node) -> object:
    if node.kind == Kind.FILE:
        return hashlib.sha256(store.content(node.payload.decode())).hexdigest()
    if node.kind == Kind.INLINE:
        return hashlib.sha256(node.payload).hexdigest()
    return node.payload


def facts_of_tar(pieces: Iterable[bytes]) -> tuple[Facts, dict[bytes, bytes]]:
    """The same of a tar, and its hard links with what they lead to."""
    found: Facts = {}
    links: dict[bytes, bytes] = {}
    for entry, stream in tar_entries.layer_entries(io.BytesIO(b"".join(pieces))):
        path = _path(entry.name)
        if entry.kind is EntryKind.HARDLINK:
            links[path] = _path(entry.target)
            found[path] = found[links[path]]
            continue
        kind, content = _kind_and_content(entry, stream.read() if stream else b"")
        xattrs = tuple(sorted((n.encode(), v) for n, v in entry.attributes.items()))
        size = entry.size if entry.kind is EntryKind.FILE else 0
        found[path] = (
            kind, entry.mode, entry.uid, entry.gid, entry.modified_ns, size, content, xattrs,
        )  # fmt: skip
    return found, links


def _kind_and_content(entry: Entry, content: bytes) -> tuple[str, object]:
    match entry.kind:
        case EntryKind.FILE:
            return "f", hashlib.sha256(content).hexdigest()
        case EntryKind.SYMLINK:
            return Kind.SYMLINK, entry.target.encode("utf-8", "surrogateescape")
        case EntryKind.DEVICE:
            return Kind.BLOCK if entry.block else Kind.CHARACTER, b"%d:%d" % entry.device
        case _:
            return KINDS[entry.kind], b""


def _path(name: str) -> bytes:
    return b"/" + "/".join(clean_path(name)).encode("utf-8", "surrogateescape")


def write(writer: LayoutWriter | DockerWriter | TarWriter, pieces: Iterable[bytes]) -> str:
    for piece in pieces:
        writer.write(piece)
    return writer.finish(0)


@pytest.fixture
def odd(tmp_path: Path) -> tuple[Repository, str]:
    """A store with a commit that has everything."""
    store = new_store(tmp_path)
    return store, committed(store, odd_tree(tmp_path / "odd"))


def test_a_tar_of_a_commit_says_the_same_of_every_path(odd: tuple[Repository, str]) -> None:
    store, commit = odd
    tree = store.tree(commit)
    found, links = facts_of_tar(tar_of_commit(store, commit))
    assert found == facts_of_tree(store, tree)
    wanted = {path: node.payload for path, node in tree.items() if node.kind == Kind.HARDLINK}
    assert links == wanted


def test_layouts_and_archives_give_the_same_tree_again(
    odd: tuple[Repository, str], tmp_path: Path
) -> None:
    store, commit = odd
    wanted = facts_of_tree(store, store.tree(commit))
    write(LayoutWriter(tmp_path / "layout", "3"), tar_of_commit(store, commit))
    for tag in ("3", None):
        assert facts_of_tar(flattened(of_layout(tmp_path / "layout", tag)))[0] == wanted
    write(DockerWriter(tmp_path / "archive", "odd:3"), tar_of_commit(store, commit))
    with of_docker_archive(tmp_path / "archive", "odd:3") as layers:
        assert facts_of_tar(flattened(layers))[0] == wanted
    write(TarWriter(tmp_path / "tar"), tar_of_commit(store, commit))
    assert facts_of_tar([(tmp_path / "tar").read_bytes()])[0] == wanted
    assert not list(tmp_path.glob(".*"))


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    for writer in (LayoutWriter, DockerWriter, TarWriter):
        with pytest.raises(Conflict, match="exists already"):
            writer(tmp_path / "x", "a:1")
        half = writer(tmp_path / "y", "a:1")
        half.write(b"half")
        half.abandon()
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def layer(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def member(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, content


def layout(folder: Path, *layers: bytes, pack: Callable[[bytes], bytes] = gzip.compress) -> Path:
    """An OCI layout of these layers."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def put(content: bytes, kind: str) -> oci.Blob:
        blob = oci.Blob(oci.digest_of(content), len(content), kind)
        (blobs / blob.digest).write_bytes(content)
        return blob

    config = put(oci.make_config([oci.digest_of(one) for one in layers], "amd64", 0), oci.CONFIG)
    packed = [put(pack(one), oci.LAYER) for one in layers]
    image = put(oci.make_manifest(config, packed), oci.MANIFEST)
    (folder / "index.json").write_bytes(oci.make_index(image, "latest"))
    return folder


def read(folder: Path) -> Facts:
    return facts_of_tar(flattened(of_layout(folder, None)))[0]


def test_layers_are_put_on_top_of_each_other(tmp_path: Path) -> None:
    found = read(
        layout(
            tmp_path / "l",
            layer(member("a", b"old"), member("b", b"gone"), member("c", b"linked")),
            layer(),
            layer(
                member("a", b"new"),
                member(".wh.b"),
                member("d", kind=tarfile.LNKTYPE, link="c"),
                member(".wh.c"),
            ),
        )
    )
    assert set(found) == {b"/a", b"/d"}
    assert found[b"/a"][6] == hashlib.sha256(b"new").hexdigest()
    assert found[b"/d"][6] == hashlib.sha256(b"linked").hexdigest()


@pytest.mark.parametrize(
    ("members", "because"),
    [
        ([member("../evil", b"x")], "leads out"),
        ([member("a/../../evil", b"x")], "leads out"),
        ([member("l", kind=tarfile.LNKTYPE, link="../../etc/passwd")], "leads out"),
        ([member("l", kind=tarfile.LNKTYPE, link="none")], "is not a file"),
        ([member("a", b"x"), member("a/b", b"x")], "is not a folder"),
        ([member("x", kind=b"Z")], "unknown kind"),
        ([member(".wh...", b"")], "without a name"),
    ],
)
def test_hostile_layers_are_refused(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], because: str
) -> None:
    with pytest.raises(BadImage, match=because):
        read(layout(tmp_path / "l", layer(*members)))


def test_a_path_through_a_link_stays_inside(tmp_path: Path) -> None:
    found = read(
        layout(
            tmp_path / "l",
            layer(member("out", kind=tarfile.SYMTYPE, link="/../../..")),
            layer(member("out/evil", b"x")),
        )
    )
    assert set(found) == {b"/out", b"/evil"}


def test_names_that_are_no_text_are_kept(tmp_path: Path) -> None:
    name = b"\xff\xfe".decode("utf-8", "surrogateescape")
    assert set(read(layout(tmp_path / "l", layer(member(name, b"x"))))) == {b"/\xff\xfe"}


def test_a_size_that_cannot_be_is_refused_at_once(tmp_path: Path) -> None:
    for size, because in ((1 << 40, "more than 128 GiB"), (1 << 33, "broken or cut off")):
        info, _ = member("hole")
        info.size = size
        cut = info.tobuf(tarfile.PAX_FORMAT) + bytes(1024)
        with pytest.raises(BadImage, match=because):
            read(layout(tmp_path / f"{size}", cut))


def test_damaged_layouts_are_refused(tmp_path: Path) -> None:
    good = layout(tmp_path / "good", layer(member("a", b"x" * 9_000)))
    blobs = sorted((good / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    for number, path in enumerate(blobs):
        bad = tmp_path / f"flip-{number}"
        shutil.copytree(good, bad)
        content = bytearray(path.read_bytes())
        content[-3] ^= 1
        (bad / "blobs/sha256" / path.name).write_bytes(content)
        if b"diff_ids" not in content:  # the layer's own digest says as much as this one
            with pytest.raises(BadImage):
                read(bad)
        (bad / "blobs/sha256" / path.name).write_bytes(path.read_bytes()[:-20])
        if b"diff_ids" not in content:
            with pytest.raises(BadImage):
                read(bad)
        (bad / "blobs/sha256" / path.name).unlink()
        if b"diff_ids" not in content:
            with pytest.raises(BadImage, match="cannot be read"):
                read(bad)
    with pytest.raises(BadImage):
        of_layout(tmp_path / "nothing", None)


def test_a_layer_that_is_no_tar_or_packed_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="not a tar"):
        read(layout(tmp_path / "a", b"what is this" * 100))
    zstd = b"\x28\xb5\x2f\xfd" + bytes(100)
    with pytest.raises(BadImage, match="zstd"):
        read(layout(tmp_path / "b", layer(), pack=lambda _raw: zstd))


def archive(file: Path, manifest: object, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    file.write_bytes(layer(member("manifest.json", json.dumps(manifest).encode()), *members))
    return file


def test_docker_archives_that_lie_are_refused(tmp_path: Path) -> None:
    config = oci.make_config(["0" * 64], "amd64", 0)
    entry = {"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["l/layer.tar"]}
    away = member("l/layer.tar", kind=tarfile.SYMTYPE, link="/etc/x")
    inside = (member("c.json", config), member("l/layer.tar", layer(member("x", b"y"))))
    for manifest, members, because in (
        ([entry], inside, "another content"),
        ([entry], inside[:1], "has no file"),
        ([{**entry, "Layers": []}], inside, "other layers"),
        ([{**entry, "Config": "../../etc/passwd"}], inside, "has no file"),
        ([entry], (inside[0], away), "has no file"),
    ):
        file = archive(tmp_path / "a.tar", manifest, *members)
        with pytest.raises(BadImage, match=because), of_docker_archive(file, None) as layers:
            list(flattened(layers))
    (tmp_path / "no.tar").write_bytes(b"nothing")
    with (
        pytest.raises(BadImage, match="cannot be read"),
        of_docker_archive(tmp_path / "no.tar", None),
    ):
        pass


def test_an_older_archive_whose_layers_are_links_is_read(tmp_path: Path) -> None:
    content = layer(member("x", b"y"))
    config = oci.make_config([oci.digest_of(content)] * 2, "amd64", 0)
    entry = {"Config": "c.json", "RepoTags": [], "Layers": ["1/layer.tar", "2/layer.tar"]}
    file = archive(
        tmp_path / "a.tar",
        [entry],
        member("c.json", config),
        member("1/layer.tar", content),
        member("2/layer.tar", kind=tarfile.SYMTYPE, link="../1/layer.tar"),
    )
    with of_docker_archive(file, None) as layers:
        assert set(facts_of_tar(flattened(layers))[0]) == {b"/x"}


def test_other_programs_read_what_is_written_and_the_other_way_round(
    odd: tuple[Repository, str], tmp_path: Path
) -> None:
    store, commit = odd
    wanted = facts_of_tree(store, store.tree(commit))
    write(LayoutWriter(tmp_path / "layout", "3"), tar_of_commit(store, commit))
    write(DockerWriter(tmp_path / "archive.tar", "odd:3"), tar_of_commit(store, commit))
    for source, target in (
        ("oci:{}/layout:3", "docker-archive:{}/theirs.tar:odd:3"),
        ("docker-archive:{}/archive.tar", "oci:{}/theirs:3"),
    ):
        command = ["skopeo", "copy", "--quiet", source.format(tmp_path), target.format(tmp_path)]
        subprocess.run(command, check=True, capture_output=True)
    with of_docker_archive(tmp_path / "theirs.tar", None) as layers:
        assert facts_of_tar(flattened(layers))[0] == wanted
    assert facts_of_tar(flattened(of_layout(tmp_path / "theirs", "3")))[0] == wanted
