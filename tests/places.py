"""Numbers by which tests that run at the same time on one host keep out of each other's way."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

CLAIMS: Final = Path("/run/lock/qvdnode-test")


@contextmanager
def place_of_ones_own(count: int, claims: Path = CLAIMS) -> Iterator[int]:
    """A number below `count` that no other test has until this one lets go or its process ends."""
    claims.mkdir(parents=True, exist_ok=True)
    first = secrets.randbelow(count)
    for step in range(count):
        number = (first + step) % count
        descriptor = os.open(claims / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            yield number
            return
        finally:
            os.close(descriptor)
    raise AssertionError(f"all {count} places of {claims} are taken")
