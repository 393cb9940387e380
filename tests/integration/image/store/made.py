"""Stores and trees for the tests of the store."""

import os
from pathlib import Path

from qvdnode.image.store.branches import Branches
from qvdnode.image.store.files import Files
from qvdnode.image.store.repository import About, Content, Repository
from qvdnode.image.store.tree_reader import Source, TreeReader
from qvdnode.image.store.verification import Finding, verify

NOW = 1_700_000_000
BIG = bytes(range(256))


def new_store(folder: Path, files: Files | None = None) -> Repository:
    """An empty store in a folder."""
    store = Repository(folder / "store", files)
    store.prepare()
    return store


def read(store: Repository, root: Path) -> Content:
    """A folder, with what the store lacks of it copied."""
    return TreeReader(store, Source(root, work=store.work_folder())).read()


def committed(store: Repository, root: Path, *parents: str, message: str = "") -> str:
    """A commit of a folder."""
    return store.publish(read(store, root), About("ana", NOW, message, "test", parents))


def branches_of(store: Repository) -> Branches:
    return Branches(store, lambda: NOW)


def findings(store: Repository) -> list[Finding]:
    """What a full check finds wrong."""
    return verify(store, branches_of(store)).findings


def small_tree(root: Path, word: str) -> Path:
    """A folder with a small file, two objects and a link."""
    (root / "etc").mkdir(parents=True)
    (root / "etc/word").write_text(word)
    (root / "etc/big").write_bytes(BIG)
    (root / "etc/own").write_bytes(BIG + word.encode())
    (root / "etc/link").symlink_to("big")
    return root


def odd_tree(root: Path) -> Path:
    """A folder with everything that a root file system can have, and odd names."""
    root.mkdir()
    _odd_names(root)
    _odd_files(root)
    _links_and_nodes(root)
    deep = root
    for _ in range(40):
        deep /= "deep"
        deep.mkdir()
    _odd_times(root)
    return root


def _odd_names(root: Path) -> None:
    for name in (
        b"\xff\xfe",
        b"a b",
        b"per%cent",
        b"new\nline",
        b"-",
        b"+",
        b"x" * 255,
        b"\xc3\xa4",
    ):
        (root / os.fsdecode(name)).write_bytes(name)
    (root / "many").mkdir()
    for number in range(400):
        (root / "many" / f"file-{number:04}-with-a-long-name").write_bytes(b"%d" % number)


def _odd_files(root: Path) -> None:
    (root / "set").write_bytes(BIG)
    os.chown(root / "set", 0, 42)
    (root / "set").chmod(0o6755)
    os.setxattr(root / "set", "security.capability", bytes.fromhex("0100000200040000" + "00" * 12))
    os.setxattr(root / "set", "user.note", b"\0\xff" * 700)
    os.setxattr(root / "many", "trusted.mark", b"yes")
    os.link(root / "set", root / "many" / "set-too")
    (root / "same").write_bytes(BIG)
    (root / "sparse").touch()
    os.truncate(root / "sparse", 64 << 20)
    with (root / "sparse").open("r+b") as stream:
        stream.seek(40 << 20)
        stream.write(b"in the middle")
    (root / "empty").touch()
    (root / "edge").write_bytes(b"x" * 64)
    (root / "over").write_bytes(b"x" * 65)


def _links_and_nodes(root: Path) -> None:
    (root / "short").symlink_to("set")
    (root / "dangling").symlink_to("/no/where")
    (root / "long").symlink_to("x" * 4_000)
    (root / "raw").symlink_to(os.fsdecode(b"\xff"))
    os.link(root / "short", root / "short-too", follow_symlinks=False)
    os.mkfifo(root / "pipe", 0o622)
    os.mknod(root / "null", 0o020666, os.makedev(1, 3))
    os.mknod(root / "disk", 0o060660, os.makedev(259, 70_000))
    os.mknod(root / "socket", 0o140600)
    os.chown(root / "dangling", 1000, 1000, follow_symlinks=False)


def _odd_times(root: Path) -> None:
    """Times with nanoseconds, from before 1970 on."""
    number = -30
    for folder, folders, files in os.walk(os.fsencode(root), topdown=False):
        for name in sorted(folders + files):
            number += 1
            moment = number * 10**9 + abs(number)
            os.utime(folder + b"/" + name, ns=(moment, moment), follow_symlinks=False)
    root.chmod(0o1711)
    os.utime(root, ns=(5, 10**18 + 7))
