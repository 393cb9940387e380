"""Hashes and checks passwords in a small thread pool with a bounded queue."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import argon2
from argon2.exceptions import Argon2Error, InvalidHashError, VerifyMismatchError

from qvdnode.model.errors import Invalid, Unavailable
from qvdnode.telemetry.metrics import Gauge

log = logging.getLogger(__name__)

WAITING = Gauge("qvdnode_password_checks_waiting", "Password checks in threads or waiting for one")

# OWASP's minimum: 19 MiB and two passes. The library's default costs nine times as much.
TIME_COST: Final = 2
MEMORY_KIB: Final = 19 * 1024
PARALLELISM: Final = 1
PASSWORD_MAX_BYTES: Final = 1024

T = TypeVar("T")


class PasswordHasher:
    """Argon2id with bounded cost."""

    def __init__(self, *, threads: int = 2, queue_max: int = 512) -> None:
        self._argon2 = argon2.PasswordHasher(TIME_COST, MEMORY_KIB, PARALLELISM)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._free = threads + queue_max
        # Checked for unknown users, so that their answer takes as long as for known ones.
        self._nobody = self._argon2.hash("nobody")

    async def hash(self, password: str) -> str:
        """Return the hash to store; raises Invalid for an empty or too long one, Unavailable."""
        size = len(password.encode(errors="surrogatepass"))
        if not 1 <= size <= PASSWORD_MAX_BYTES:
            raise Invalid(
                f"A password must have 1 to {PASSWORD_MAX_BYTES} bytes.", field="password"
            )
        return await self._in_thread(lambda: self._argon2.hash(_bytes(password)))

    async def verify(self, password_hash: str, password: str) -> bool:
        """Whether the password matches; raises Unavailable when too many checks wait."""
        if not 1 <= len(_bytes(password)) <= PASSWORD_MAX_BYTES:
            return False
        return await self._in_thread(lambda: self._matches(password_hash, password))

    async def verify_nobody(self, password: str) -> bool:
        """Return False after as much time as `verify` takes."""
        await self.verify(self._nobody, password)
        return False

    def close(self) -> None:
        """End the threads after their current check."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _matches(self, password_hash: str, password: str) -> bool:
        try:
            return self._argon2.verify(password_hash, _bytes(password))
        except VerifyMismatchError:
            return False
        except (InvalidHashError, Argon2Error) as error:
            log.warning("password_hash_unusable", extra={"because": str(error)})
            return False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._free <= 0:
            raise Unavailable("Too many logins at once; try again in a moment.")
        self._free -= 1
        WAITING.inc()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._free += 1
            WAITING.dec()


def _bytes(password: str) -> bytes:
    return password.encode(errors="surrogatepass")
