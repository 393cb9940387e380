"""How fast a kept overlay moves to another version of its image: `python -m bench.rebase`.

The overlay has 5,000 entries: new files, files whose mode was changed, changed texts and deletions,
on the IceWM image. The new version has about 1,000 other files. The time is that of a start of the
desktop: reading, deciding, staging and renaming, with its fsyncs.
"""

import os
import shutil
import time
from pathlib import Path

from bench import options, results_file
from bench.images import change, place
from bench.options import Options
from bench.results_file import median
from qvdnode.image.core.quota_projects import QuotaProjects
from qvdnode.image.kept.disks import Base, KeptDisks, Report
from qvdnode.image.layout import Layout
from qvdnode.image.store.repository import About, Repository
from qvdnode.image.store.tree_reader import Source, TreeReader
from qvdnode.model.guest import IdRange
from qvdnode.model.ids import VmId
from tests.fixtures_image import build_if_missing

ROUNDS = 5
ENTRIES = 5_000
IDS = IdRange(0x7000_0000)
VM = VmId(7)


def commit_of(store: Repository, root: Path) -> str:
    """A commit of a root."""
    work = store.work_folder()
    content = TreeReader(store, Source(root, work=work)).read()
    return store.publish(content, About("bench", 1_700_000_000))


def fill(upper: Path, root: Path) -> None:
    """Change a root in many ways, as an overlay keeps it."""
    files = sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink())
    for number, path in enumerate(files[:: max(1, len(files) // 2_000)][:2_000]):
        target = upper / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        if number % 4 == 0:
            os.mknod(target, 0o020000, os.makedev(0, 0))
        else:
            shutil.copy2(path, target)
            target.chmod(0o700 if number % 2 else path.stat().st_mode)
            if number % 4 == 2:
                with target.open("ab") as stream:
                    stream.write(b"mine\n")
    count = sum(1 for _ in upper.rglob("*"))
    own = upper / "opt" / "own"
    own.mkdir(parents=True)
    for number in range(ENTRIES - count - 2):
        (own / f"file{number}").write_bytes(b"%d\n" % number * 200)
    for path in (upper, *upper.rglob("*")):
        os.chown(path, IDS.start, IDS.start, follow_symlinks=False)


def one_round(image: Path) -> tuple[float, Report]:
    """The seconds that one rebase took, and what it did."""
    with place() as folder:
        store = Repository(folder / "images" / "store")
        store.prepare()
        root = folder / "root"
        shutil.copytree(image, root, symlinks=True)
        old = commit_of(store, root)
        layout = Layout(folder)
        disk = layout.kept_disk(VM)
        (disk / "upper").mkdir(parents=True)
        fill(disk / "upper", root)
        change(root, 1)
        new = commit_of(store, root)
        kept = KeptDisks(layout, store, QuotaProjects(1))
        kept.note(VM, Base(old, IDS.start))
        os.sync()
        began = time.perf_counter()
        report = kept.move(VM, new, disk)
        return time.perf_counter() - began, report


def measure(wanted: Options) -> None:
    """Some rounds, each with a new store and overlay."""
    image = build_if_missing()
    rounds = [one_round(image) for _ in range(wanted.rounds)]
    problems = [report.problem for _, report in rounds if report.problem]
    if problems:
        raise AssertionError(problems[0])
    results_file.report(
        "rebase",
        {
            "rebase_s": median([took for took, _ in rounds]),
            "entries": median([len(report.decisions) for _, report in rounds]),
            "looks": median([len(report.looks) for _, report in rounds]),
        },
        [{"rebase_s": took, "actions": report.counts()} for took, report in rounds],
        wanted,
    )


if __name__ == "__main__":
    measure(options.parsed(__doc__, rounds=ROUNDS))
