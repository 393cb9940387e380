"""How fast the store of images is, on a real root file system: commit, mount, diff, collect, check.

Versions of the IceWM image are made by changing about 1,000 files of 50 MB in each. fsync is on.

commit_s       commit of such a version from a folder that was committed before
first_s        the first commit of the folder, all of it
mount_p50_ms   root of a new guest: idmapped metadata, overlay on it; after all versions
mount_p99_ms   `_floor`: the same on a plain folder, as without a store
diff_s         comparison of the first version with the last
disk_ratio     all of the store over the content that is in it
gc_s           collection after half of the versions lost their names
gc_lost        objects that a version needs and a collection took
verify_mb_s    full check
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench import options, results_file
from bench.options import Options
from bench.results_file import Figure, against_floor, median, total
from bench.running import run
from qvdnode.host import mounts
from qvdnode.host.idmap import IdMapper
from qvdnode.host.linux_calls import MOUNT_ATTR_RDONLY
from qvdnode.host.mounts import Lower
from qvdnode.image.core.refs import Ref
from qvdnode.image.store.branches import Branches
from qvdnode.image.store.collection import Plan, collect
from qvdnode.image.store.folder_commit import FolderCommit
from qvdnode.image.store.history import History
from qvdnode.image.store.mounting import CommitMounts
from qvdnode.image.store.repository import Repository
from qvdnode.image.store.usage import usage
from qvdnode.image.store.verification import verify
from tests.fixtures_image import STATE, build_if_missing

ROUNDS = 3
VERSIONS = 6
CHANGED_FILES = 1_000
CHANGED_BYTES = 50 * 1000 * 1000
GUESTS = 400
IDS = 0x7000_0000
COUNT = 65_536
SETTLE_S = 4.0
"""Files that changed in the last two seconds are read again by the next commit."""


@dataclass(slots=True)
class Samples:
    """What one round measured."""

    first_s: float = 0.0
    commit_s: list[float] = field(default_factory=list)
    mount_ms: list[float] = field(default_factory=list)
    plain_ms: list[float] = field(default_factory=list)
    diff_s: float = 0.0
    disk_ratio: float = 0.0
    gc_s: float = 0.0
    gc_lost: int = 0
    verify_mb_s: float = 0.0


@contextmanager
def place() -> Iterator[Path]:
    """A folder for a store and roots; what is mounted below it goes at the end."""
    folder = Path(tempfile.mkdtemp(prefix="image-bench-", dir=STATE))
    try:
        yield folder
    finally:
        for point in mounts.under(folder):
            mounts.unmount(point)
        shutil.rmtree(folder)


def change(root: Path, number: int) -> None:
    """Change the content of many files, others in each version."""
    files = sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink())
    done = 0
    for path in files[number::VERSIONS][:CHANGED_FILES]:
        if done >= CHANGED_BYTES:
            break
        with path.open("ab") as stream:
            stream.write(b"%d" % number)
        done += path.stat().st_size


async def mounted(lower: Lower, folder: Path, mapper: IdMapper, count: int) -> list[float]:
    """The milliseconds that each of many guests' roots took."""
    took = []
    for number in range(count):
        guest = folder / str(number)
        for name in ("lower", "upper", "work", "root"):
            (guest / name).mkdir(parents=True)
        began = time.perf_counter()
        await mapper.bind(
            lower.folder, guest / "lower", start=IDS, count=COUNT, attributes=MOUNT_ATTR_RDONLY
        )
        layers = Lower(guest / "lower", lower.data, lower.options)
        mounts.overlay(layers, guest / "upper", guest / "work", guest / "root")
        took.append((time.perf_counter() - began) * 1000)
    for point in mounts.under(folder):
        mounts.unmount(point)
    return took


def commits(store: Repository, branches: Branches, root: Path, found: Samples) -> None:
    """Commit the folder, then some versions of it; each has a branch of its own."""
    work = FolderCommit(store, branches, 0)
    for number in range(VERSIONS):
        if number:
            change(root, number)
            time.sleep(SETTLE_S)
        began = time.perf_counter()
        name = work.commit(root, Ref("icewm", "main"), f"{number}", "bench", lambda _done: None)
        took = time.perf_counter() - began
        branches.move(Ref("icewm", f"v{number}"), old=None, new=name, who="bench", why="bench")
        if number:
            found.commit_s.append(took)
        else:
            found.first_s = took


def care(store: Repository, branches: Branches, found: Samples) -> None:
    """Compare, measure, check and collect."""
    began = time.perf_counter()
    old, new = branches.resolve("icewm/v0"), branches.resolve("icewm")
    History(store, branches).diff(old, new)
    found.diff_s = time.perf_counter() - began
    used = usage(store)
    sizes = [path.stat().st_size for path in store.places.objects.glob("*/*")]
    found.disk_ratio = (used.object_bytes + used.metadata_bytes) / sum(sizes)
    began = time.perf_counter()
    checked = verify(store, branches)
    found.verify_mb_s = checked.read_bytes / 1e6 / (time.perf_counter() - began)
    kept = {branches.resolve(f"icewm/v{number}") for number in range(VERSIONS // 2)}
    began = time.perf_counter()
    collect(store, Plan(lambda: kept, int(time.time()), grace_s=0))
    found.gc_s = time.perf_counter() - began
    found.gc_lost = sum(f.what == "object" for f in verify(store, branches, quick=True).findings)


async def one_round(image: Path) -> Samples:
    """All figures, with a new store."""
    found = Samples()
    with place() as folder, closing(IdMapper()) as mapper:
        store = Repository(folder / "store")
        branches = Branches(store, lambda: int(time.time()))
        root = folder / "root"
        await asyncio.to_thread(shutil.copytree, image, root, symlinks=True)
        await asyncio.sleep(SETTLE_S)
        await asyncio.to_thread(commits, store, branches, root, found)
        commit_mounts = CommitMounts(store, folder / "image-mounts", set)
        commit_mounts.keep("bench", branches.resolve("icewm"))
        lower = commit_mounts.lower(branches.resolve("icewm"))
        await mounted(lower, folder / "warm", mapper, 5)
        found.plain_ms = await mounted(Lower(root), folder / "plain", mapper, GUESTS)
        found.mount_ms = await mounted(lower, folder / "guests", mapper, GUESTS)
        commit_mounts.release("bench")
        care(store, branches, found)
    return found


def percentiles(rounds: list[list[float]], share: float) -> Figure:
    """The percentile of each round, and its median."""
    return median([sorted(one)[int(share * (len(one) - 1))] for one in rounds])


async def measure(wanted: Options) -> None:
    """Some rounds, each with a new store."""
    image = build_if_missing()
    rounds = [await one_round(image) for _ in range(wanted.rounds)]
    made, plain = [one.mount_ms for one in rounds], [one.plain_ms for one in rounds]
    results_file.report(
        "images",
        {
            "first_s": median([one.first_s for one in rounds]),
            "commit_s": median([taken for one in rounds for taken in one.commit_s]),
            **against_floor("mount_p50_ms", percentiles(made, 0.5), percentiles(plain, 0.5)),
            **against_floor("mount_p99_ms", percentiles(made, 0.99), percentiles(plain, 0.99)),
            "diff_s": median([one.diff_s for one in rounds]),
            "disk_ratio": median([one.disk_ratio for one in rounds]),
            "gc_s": median([one.gc_s for one in rounds]),
            "gc_lost": total([one.gc_lost for one in rounds]),
            "verify_mb_s": median([one.verify_mb_s for one in rounds]),
        },
        [asdict(one) for one in rounds],
        wanted,
    )


if __name__ == "__main__":
    run(measure(options.parsed(__doc__, rounds=ROUNDS)))
