"""Reserves ranges of host ids for the guests of an instance; two instances never share one.

Guests of two instances with the same ids could access each other's files and processes after an
escape. So each instance keeps a locked file, named after its ids, in a record folder. The ids stay
reserved after the instance has ended while processes of its guests run under them.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host.record_folder import locked
from qvdnode.model.errors import HostFailed

RECORDS: Final = Path("/run/qvdnode/ids")
FAILING: Final = "the ids of guests cannot be reserved"
SPARE: Final = range(0x8000_0000, 0xF000_0000)
"""Where demos and tests look for ids: above those that a node takes by default."""
PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class _Record:
    """The reservation of an instance, living or not."""

    path: Path
    ids: range
    holder: str
    locked: bool

    @property
    def counts(self) -> bool:
        """Whether the instance lives, or guests of it do."""
        return self.locked or _in_use(self.ids)


@contextmanager
def reserved(ids: range, holder: Path, records: Path = RECORDS) -> Iterator[None]:
    """Reserve the ids for the state folder `holder`; blocks briefly.

    Raises HostFailed naming the state folder of another instance that has some of them.
    """
    record = records / f"{ids.start}-{ids.stop}"
    with locked(records, FAILING):
        other = holder_of(ids, records, but=holder)
        if other is not None:
            raise HostFailed(
                f"the node that serves from {other} has some of the ids {ids.start} to"
                f" {ids.stop - 1} for its guests; give one of the two another vm.id_base"
            )
        # Its own record is written anew. To find out whether guests of an earlier process hold it
        # would read the status of every process, while clients wait for the node to serve.
        _forget_the_dead(records, but=record)
        fd = os.open(record, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.write(fd, os.fsencode(holder))
    try:
        yield
    finally:
        with suppress(HostFailed), locked(records, FAILING):
            if not _in_use(ids):
                record.unlink(missing_ok=True)
        os.close(fd)


def unused(count: int, *, seed: int, records: Path = RECORDS, but: Path | None = None) -> range:
    """So many ids that no instance has but that of the state folder `but`; raises HostFailed.

    For a demo or a test. The same seed gives the same ids as long as they are free.
    """
    places = len(SPARE) // count
    with locked(records, FAILING):
        for step in range(places):
            start = SPARE.start + (seed + step) % places * count
            ids = range(start, start + count)
            if holder_of(ids, records, but=but) is None:
                return ids
    raise HostFailed(f"every {count} ids from {SPARE.start} to {SPARE.stop - 1} are reserved")


def holder_of(ids: range, records: Path = RECORDS, *, but: Path | None = None) -> str | None:
    """The state folder of an instance that has some of the ids, other than `but`; changes nothing.

    None, too, if the caller may not read the records.
    """
    for record in _all(records):
        apart = record.ids.start >= ids.stop or record.ids.stop <= ids.start
        if not apart and record.holder != str(but) and record.counts:
            return record.holder
    return None


def holds_any(holder: Path, records: Path = RECORDS) -> bool:
    """Whether the instance of that state folder lives, or guests of it do."""
    return any(
        record.counts
        for record in _all(records)
        if Path(record.holder).resolve() == holder.resolve()
    )


def _forget_the_dead(records: Path, *, but: Path) -> None:
    for record in _all(records):
        if record.path != but and not record.counts:
            record.path.unlink()


def _all(records: Path) -> Iterator[_Record]:
    for path in sorted(records.glob("*-*")):
        start, _, stop = path.name.partition("-")
        with suppress(FileNotFoundError, PermissionError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                held = True
            else:
                held = False
            yield _Record(path, range(int(start), int(stop)), os.fsdecode(file.read()), held)


def _in_use(ids: range) -> bool:
    """Whether any process runs under one of the ids."""
    return any(uid in ids for folder in PROC.glob("[0-9]*") for uid in _uids(folder))


def _uids(process: Path) -> list[int]:
    """The user ids of a process (real, effective, saved, of files); none of one that has ended."""
    with suppress(OSError):
        for line in (process / "status").read_text(errors="replace").splitlines():
            if line.startswith("Uid:"):
                return [int(word) for word in line.split()[1:]]
    return []
