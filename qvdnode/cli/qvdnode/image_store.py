"""What the commands of `qvdnode image` share: the node's store, commits as rows, progress bars."""

import getpass
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from qvdnode.cli.config_file import chosen
from qvdnode.daemon.load import load
from qvdnode.image.store.history import History, LogEntry
from qvdnode.image.versions import ImageVersions
from qvdnode.model.errors import Forbidden, NotFound

Advance = Callable[[int, int | None], None]
"""Called with the bytes done, and those in all if known."""


class LocalStore:
    """The store of the node on this host; the node may serve meanwhile."""

    def __init__(self, config: Path | None) -> None:
        """Raises BadConfig, Forbidden for anybody but root."""
        if os.geteuid() != 0:
            raise Forbidden("The images of a node are root's: run this as root.")
        self.settings = load(chosen(config), os.environ).image
        self.versions = ImageVersions(self.settings)
        self.store = self.versions.store
        self.branches = self.versions.branches
        self.mounts = self.versions.mounts
        self.history = History(self.store, self.branches)


def opened(config: Path | None) -> LocalStore:
    """The store, which must have commits; raises BadConfig, Forbidden, NotFound."""
    found = LocalStore(config)
    if not found.store.exists():
        raise NotFound(
            f"{found.store.places.root} has no commits yet: `qvd image import` or"
            " `qvdnode image commit` makes the first."
        )
    return found


def entry_row(entry: LogEntry) -> dict[str, Any]:
    """A commit as a row, also of JSON."""
    commit = entry.commit
    return {
        "commit": entry.name,
        "parents": list(commit.parents),
        "manifest": commit.manifest,
        "made_at": commit.at.isoformat(),
        "author": commit.author,
        "message": commit.message,
        "source": commit.source,
        "size_bytes": commit.size_bytes,
        "labels": dict(commit.labels),
        "refs": list(entry.refs),
    }


def who() -> str:
    """Who runs the command, for the log: the user behind sudo, if that was used."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


@contextmanager
def progress_bar(title: str) -> Iterator[Advance]:
    """A progress bar on a terminal's stderr, and nothing elsewhere."""
    stderr = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True),
        TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(
        *columns, console=stderr, transient=True, disable=not stderr.is_terminal
    ) as progress:
        task = progress.add_task(title, total=None)

        def advance(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        yield advance
