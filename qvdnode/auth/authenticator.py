"""Who is asking? Passwords and user tokens, checked against the database or remembered.

A login that was good keeps working for a while without the database, so that whoever has a running
desktop gets back to it. Nothing tells whether an account exists: answers and their times are alike.
"""

import asyncio
import logging
import secrets
from typing import Final

from qvdnode.auth.login_name import LoginName, parse_login
from qvdnode.auth.passwords import PasswordHasher
from qvdnode.auth.ports import CredentialStore, UserTokenStore
from qvdnode.auth.settings import AuthSettings
from qvdnode.auth.throttle import Throttle
from qvdnode.auth.verified import SECRET_BYTES, VerifiedCache
from qvdnode.model.errors import Invalid, Unauthenticated, Unavailable
from qvdnode.model.ids import TenantId, UserId
from qvdnode.model.principal import Credentials, Principal
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.tokens import digest
from qvdnode.telemetry.metrics import Counter

log = logging.getLogger(__name__)

LOGINS = Counter("qvdnode_logins_total", "Logins by their outcome", ["outcome"])

WRONG: Final = "The user name or the password is wrong, or the account is blocked."
TOKEN_FAILURES_PER_SOURCE: Final = 20
"""As many times the free failures of one token are free for all behind one address."""
WRONG_TOKEN: Final = "The token is unknown, has expired, or its account is blocked."


class Authenticator:
    """Turns proofs into principals."""

    def __init__(
        self,
        users: CredentialStore,
        tokens: UserTokenStore,
        hasher: PasswordHasher,
        clock: Clock,
        settings: AuthSettings,
    ) -> None:
        self._users = users
        self._tokens = tokens
        self._hasher = hasher
        self._clock = clock
        self._settings = settings
        self._throttle = _throttle(clock, settings)
        self._token_throttle = _throttle(clock, settings)
        self._source_throttle = _throttle(clock, settings, times=TOKEN_FAILURES_PER_SOURCE)
        self._verified: VerifiedCache[Principal] = VerifiedCache(
            secrets.token_bytes(SECRET_BYTES), clock, settings.remember_max
        )
        self._checking: dict[bytes, asyncio.Lock] = {}

    async def basic(self, login: str, password: str, *, source: str) -> Principal:
        """The user of a login, which may name a tenant after its last @ or #, and a password.

        Raises Unauthenticated, Throttled, and Unavailable when the database is away and this login
        is not remembered.
        """
        name = parse_login(login, self._settings.default_tenant)
        key = self._verified.key("basic", name.tenant, name.login, password)
        if (known := self._remembered(key)) is not None:
            return known
        # the same proof several times at once is checked once: a client's parallel connections
        # cost one hash, and none of them is throttled
        lock = self._checking.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                return self._remembered(key) or await self._check(name, password, source, key)
        finally:
            if not lock.locked():
                self._checking.pop(key, None)

    async def bearer(self, token: str, *, source: str) -> Principal:
        """The user of a token; raises as `basic` does."""
        key = self._verified.key("bearer", token)
        if (known := self._remembered(key)) is not None:
            return known
        # A token cannot be guessed, but asking the database for thousands of them costs something.
        # Somebody's expired one is not to delay the others behind the same address, so each counts
        # by itself, and the address only when many have failed.
        which = key.hex()
        self._token_throttle.refuse_early(which, source)
        self._source_throttle.refuse_early("", source)
        try:
            principal = await self._check_token(token, key)
        except Unavailable:
            return self._remembered_while_away(key)
        except Unauthenticated:
            self._token_throttle.failed(which, source)
            self._source_throttle.failed("", source)
            raise
        self._source_throttle.succeeded("", source)
        return principal

    @property
    def changes(self) -> int:
        """Grows when somebody is forgotten: who keeps a principal longer is to ask again then."""
        return self._verified.checkpoint()

    def forget(self, user_id: UserId) -> None:
        """Ask the database again about this user: blocked, deleted, or with a new password."""
        self._verified.forget(lambda principal: principal.user_id == user_id)

    def forget_tenant(self, tenant_id: TenantId) -> None:
        """Ask the database again about all users of a tenant."""
        self._verified.forget(lambda principal: principal.tenant_id == tenant_id)

    def _remembered(self, key: bytes) -> Principal | None:
        return self._verified.find(key, younger_than_s=self._settings.remember_s)

    def _remembered_while_away(self, key: bytes) -> Principal:
        known = self._verified.find(key, younger_than_s=self._settings.remember_away_s)
        if known is None:
            LOGINS.labels("unavailable").inc()
            raise Unavailable("The database is away, so nobody can log in anew; try again later.")
        LOGINS.labels("remembered").inc()
        log.info("login_remembered", extra={"user": known.user_id})
        return known

    async def _check(self, name: LoginName, password: str, source: str, key: bytes) -> Principal:
        account = f"{name.login}@{name.tenant}"
        checkpoint = self._verified.checkpoint()
        self._throttle.attempt(account, source)
        try:
            found = await self._credentials(name)
        except Unavailable:
            self._throttle.undo(account, source)
            return self._remembered_while_away(key)
        try:
            good = await self._is_right(password, found)
        except Unavailable:  # too many at once, which says nothing about the database
            self._throttle.undo(account, source)
            raise
        if found is None or not good or found.blocked:
            raise self._refused(key, WRONG)
        self._throttle.succeeded(account, source)
        return self._accepted(key, found.principal, checkpoint)

    async def _credentials(self, name: LoginName) -> Credentials | None:
        try:
            return await self._users.credentials(name.login, name.tenant)
        except Invalid:
            return None  # a name that cannot even be asked for, such as one with a NUL

    async def _is_right(self, password: str, found: Credentials | None) -> bool:
        if found is None:
            return await self._hasher.verify_nobody(password)
        return await self._hasher.verify(found.password_hash, password)

    async def _check_token(self, token: str, key: bytes) -> Principal:
        checkpoint = self._verified.checkpoint()
        holder = await self._tokens.holder(digest(token))
        if holder is None or holder.blocked:
            raise self._refused(key, WRONG_TOKEN)
        left = holder.expires_at - self._clock.now()
        return self._accepted(key, holder.principal, checkpoint, good_for_s=left.total_seconds())

    def _accepted(
        self,
        key: bytes,
        principal: Principal,
        checkpoint: int,
        *,
        good_for_s: float = float("inf"),
    ) -> Principal:
        self._verified.remember(key, principal, checkpoint, good_for_s=good_for_s)
        LOGINS.labels("good").inc()
        return principal

    def _refused(self, key: bytes, sentence: str) -> Unauthenticated:
        self._verified.refuse(key)
        LOGINS.labels("refused").inc()
        return Unauthenticated(sentence)


def _throttle(clock: Clock, settings: AuthSettings, *, times: int = 1) -> Throttle:
    return Throttle(
        clock, free_failures=times * settings.free_failures, delay_max_s=settings.delay_max_s
    )
