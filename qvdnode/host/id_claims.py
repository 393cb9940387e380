"""Which host ids belong to the guests of which instance: two instances never share any.

Guests of two instances under the same ids could reach each other's files and processes if one ever
broke out. So each instance keeps a file named after its ids in a record folder, locked while it
lives; a file that nobody locks is of an instance that has ended.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from qvdnode.host.record_folder import locked
from qvdnode.model.errors import HostFailed

RECORDS: Final = Path("/run/qvdnode/ids")
FAILING: Final = "the ids of guests cannot be claimed"
SPARE: Final = range(0x8000_0000, 0xF000_0000)
"""Where demos and tests look for ids: above those that a node takes by default."""


@contextmanager
def claimed(ids: range, holder: Path, records: Path = RECORDS) -> Iterator[None]:
    """Have the ids for the state folder `holder`; blocks for a moment.

    Raises HostFailed naming the state folder of a living instance that has some of them.
    """
    record = records / f"{ids.start}-{ids.stop}"
    with locked(records, FAILING):
        other = _holder_of(ids, records)
        if other is not None:
            raise HostFailed(
                f"the node that serves from {other} has some of the ids {ids.start} to"
                f" {ids.stop - 1} for its guests; give one of the two another vm.id_base"
            )
        fd = os.open(record, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.write(fd, os.fsencode(holder))
    try:
        yield
    finally:
        with suppress(HostFailed), locked(records, FAILING):
            record.unlink(missing_ok=True)
        os.close(fd)


def unused(count: int, *, seed: int, records: Path = RECORDS) -> range:
    """So many ids that no living instance has, for a demo or a test; raises HostFailed.

    The same seed gives the same ids as long as they are free.
    """
    places = len(SPARE) // count
    with locked(records, FAILING):
        for step in range(places):
            start = SPARE.start + (seed + step) % places * count
            ids = range(start, start + count)
            if _holder_of(ids, records) is None:
                return ids
    raise HostFailed(f"every {count} ids from {SPARE.start} to {SPARE.stop - 1} are claimed")


def _holder_of(ids: range, records: Path) -> str | None:
    """The state folder of a living instance that has some of the ids; dead records are removed."""
    for record in sorted(records.glob("*-*")):
        start, _, stop = record.name.partition("-")
        if int(start) >= ids.stop or int(stop) <= ids.start:
            continue
        with record.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return os.fsdecode(file.read())
            record.unlink()
    return None
