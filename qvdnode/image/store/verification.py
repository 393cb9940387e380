"""Checks a store: every commit, manifest, object and branch. Everything blocks.

Each finding names what is damaged and, for an object, the commits and paths that need it.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from qvdnode.image.core import erofs
from qvdnode.image.core import manifest as manifests
from qvdnode.image.core.commit import Commit
from qvdnode.image.core.manifest import Kind, Tree
from qvdnode.image.store.branches import Branches
from qvdnode.image.store.repository import Repository, told
from qvdnode.model.errors import FarmError, NotFound

CHUNK: Final = 1024 * 1024
PATHS_MAX: Final = 20
"""Paths that one finding lists at most."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is damaged."""

    what: str
    """object, manifest, commit, ref or metadata."""
    name: str
    problem: str
    commits: tuple[str, ...] = ()
    """The commits that need it."""
    paths: tuple[str, ...] = ()
    """The paths that have an object as their content, at most PATHS_MAX."""


@dataclass(slots=True)
class Verified:
    """How a check went."""

    commits: int = 0
    objects: int = 0
    read_bytes: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class _Need:
    """Who needs an object."""

    size: int
    commits: set[str] = field(default_factory=set)
    paths: list[str] = field(default_factory=list)


Progress = Callable[[int, int], None]
"""Called with the bytes checked so far, and those to check."""


def verify(
    store: Repository,
    branches: Branches,
    *,
    quick: bool = False,
    progress: Progress = lambda _done, _all: None,
) -> Verified:
    """Check everything; `quick` looks only at names and sizes of objects. Raises HostFailed."""
    found = Verified()
    if not store.exists():
        return found
    with told("the store cannot be read"):
        trees = _trees(store, found)
        needs = _needs(trees)
        found.findings += [Finding("ref", text.split(" ")[0], text) for text in branches.damaged()]
        found.findings += _lost_refs(store, branches)
        _check_objects(store, needs, found, quick=quick, progress=progress)
        if not quick:
            found.findings += _metadata(store, trees)
    return found


def _trees(store: Repository, found: Verified) -> dict[str, tuple[str, Commit, Tree]]:
    """The manifest, commit and tree of each sound commit, by the commit's name."""
    trees: dict[str, tuple[str, Commit, Tree]] = {}
    known: dict[str, Tree] = {}
    for name in store.commit_names():
        found.commits += 1
        try:
            commit = store.commit(name)
        except FarmError as error:
            found.findings.append(Finding("commit", name, str(error), (name,)))
            continue
        try:
            if commit.manifest not in known:
                known[commit.manifest] = manifests.decode(store.manifest(commit.manifest))
        except FarmError as error:
            found.findings.append(Finding("manifest", commit.manifest, str(error), (name,)))
            continue
        trees[name] = (commit.manifest, commit, known[commit.manifest])
    return trees


def _needs(trees: dict[str, tuple[str, Commit, Tree]]) -> dict[str, _Need]:
    needs: dict[str, _Need] = {}
    for name, (_, _, tree) in trees.items():
        for path, node in tree.items():
            if node.kind == Kind.FILE:
                need = needs.setdefault(node.payload.decode(), _Need(node.size))
                need.commits.add(name)
                text = manifests.escape(path)
                if len(need.paths) < PATHS_MAX and text not in need.paths:
                    need.paths.append(text)
    return needs


def _lost_refs(store: Repository, branches: Branches) -> Iterator[Finding]:
    for ref, name in branches.all().items():
        try:
            store.commit(name)
        except NotFound:
            yield Finding("ref", ref.path, f"it points to the commit {name}, which is missing")
        except FarmError:
            continue  # the commit has a finding of its own


def _check_objects(
    store: Repository,
    needs: dict[str, _Need],
    found: Verified,
    *,
    quick: bool,
    progress: Progress,
) -> None:
    total = sum(need.size for need in needs.values())
    for digest, need in sorted(needs.items()):
        found.objects += 1
        problem = _problem(store.places.object(digest), need.size)
        if problem is None and not quick:
            problem = _content_problem(store.places.object(digest), digest)
        found.read_bytes += need.size
        progress(found.read_bytes, total)
        if problem is not None:
            commits = tuple(sorted(need.commits))
            found.findings.append(Finding("object", digest, problem, commits, tuple(need.paths)))


def _problem(path: Path, size: int) -> str | None:
    try:
        actual = path.stat().st_size
    except FileNotFoundError:
        return "it is missing"
    return None if actual == size else f"it has {actual} bytes instead of {size}"


def _content_problem(path: Path, digest: str) -> str | None:
    try:
        with path.open("rb", buffering=0) as stream:
            found = hashlib.sha256()
            while chunk := stream.read(CHUNK):
                found.update(chunk)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return None if found.hexdigest() == digest else "its content has another digest"


def _metadata(store: Repository, trees: dict[str, tuple[str, Commit, Tree]]) -> Iterator[Finding]:
    seen: set[str] = set()
    for name, (manifest, _, tree) in trees.items():
        path = store.places.erofs(manifest)
        if manifest in seen or not path.exists():
            continue
        seen.add(manifest)
        if path.read_bytes() != erofs.image_of(tree):
            yield Finding(
                "metadata", manifest,
                f"{path} is not what the manifest gives: remove it while no desktop runs on it,"
                " and it is made again",
                (name,),
            )  # fmt: skip
