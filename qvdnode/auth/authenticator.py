"""Authenticates users by password or token, against the database or a cache of verified logins.

A verified login stays valid for some hours while the database is away, and the login data of users
whose desktops run are copied (login_copies.py), so that users can still reach a running desktop.
Known and unknown accounts get the same answers in the same time, so that nobody learns which
accounts exist.

A password passes three steps, in this order. While a step refuses, the right password is refused
like a wrong one, and in the same time.

1. The throttle of the account and its source counts the attempt before anything is looked up.
2. The source's queue admits it (`LoginThrottle.turn`).
3. The cache, then the database and the password hash, are checked.
"""

import asyncio
import logging
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from qvdnode.auth.core.guesses import Guess
from qvdnode.auth.core.login_source import LoginSource, account_name
from qvdnode.auth.failure_log import FailureLog, shortened
from qvdnode.auth.familiar_sources import FamiliarSources
from qvdnode.auth.login_copies import LoginCopies
from qvdnode.auth.login_name import LoginName, parse_login
from qvdnode.auth.passwords import PasswordHasher
from qvdnode.auth.ports import LoginStores
from qvdnode.auth.settings import AuthSettings
from qvdnode.auth.throttle import LoginThrottle, Outcome
from qvdnode.auth.token_lookups import TokenLookups
from qvdnode.auth.verified import SECRET_BYTES, VerifiedCache
from qvdnode.model.errors import FarmError, Invalid, Throttled, Unauthenticated, Unavailable
from qvdnode.model.ids import TenantId, UserId
from qvdnode.model.principal import Credentials, Principal
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.tokens import digest
from qvdnode.telemetry.metrics import Counter, Histogram

log = logging.getLogger(__name__)

LOGINS = Counter("qvdnode_logins_total", "Logins by their outcome", ["outcome"])
LOGIN_SECONDS = Histogram(
    "qvdnode_login_seconds",
    "How long good logins with a password took, with all waiting",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1, 2, 5, 10, 45),
)

WRONG: Final = "The user name or the password is wrong, or the account is blocked."
WRONG_TOKEN: Final = "The token is unknown, has expired, or its account is blocked."


@dataclass(slots=True)
class LoginAttempt:
    """A login that is being checked, and the guess that the throttle counted for it."""

    name: LoginName
    password: str = field(repr=False)
    key: bytes
    login_source: LoginSource
    source: str
    guess: Guess | None = None


@dataclass(slots=True)
class Check:
    """One check, shared by all connections that send the same credentials from one source."""

    attempt: LoginAttempt
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    result: Principal | FarmError | None = None


class Authenticator:
    """Checks credentials and returns the principal that they belong to."""

    def __init__(
        self,
        stores: LoginStores,
        hasher: PasswordHasher,
        clock: Clock,
        settings: AuthSettings,
        rng: random.Random,
    ) -> None:
        self._users = stores.users
        self._tokens = stores.tokens
        self._hasher = hasher
        self._clock = clock
        self._settings = settings
        secret = secrets.token_bytes(SECRET_BYTES)
        self._familiar = FamiliarSources(stores.familiar, clock, secret)
        self._throttle = LoginThrottle(clock, settings, secret, self._familiar, rng)
        self._lookups = TokenLookups(clock)
        self._failures = FailureLog(clock)
        self._verified: VerifiedCache[Principal] = VerifiedCache(
            secret, clock, settings.remember_max
        )
        self.copies: Final = LoginCopies(clock, settings)
        """Of users whose desktops run; somebody has them follow the database."""
        self._checking: dict[tuple[bytes, str], Check] = {}

    async def basic(self, login: str, password: str, *, source: str) -> Principal:
        """Authenticate a login with a password; a tenant may follow the login's last @ or #.

        Raises Unauthenticated, Throttled, and Unavailable when the database is away and this login
        is not in the cache.
        """
        began_s = self._clock.monotonic_s()
        name = parse_login(login, self._settings.default_tenant)
        account = account_name(name.login, name.tenant)
        login_source = self._throttle.login_source(account, source)
        key = self._verified.key("basic", name.tenant, name.login, password)
        try:
            check = self._begin(LoginAttempt(name, password, key, login_source, source))
            principal = await self._shared_result(check)
        except Throttled:
            LOGINS.labels("throttled").inc()
            self._failures.write(
                login=shortened(name.login), source=source, because="must wait", checked=False
            )
            raise
        LOGIN_SECONDS.observe(self._clock.monotonic_s() - began_s)
        return principal

    async def bearer(self, token: str, *, source: str) -> Principal:
        """Authenticate a user token; raises as `basic` does.

        The cache is asked first. Nobody can guess 256 random bits, so tokens need no throttle;
        but tokens that are not in the cache are looked up in fair order, so that a client that
        sends invalid ones does not delay others behind the same address.
        """
        key = self._verified.key("bearer", token)
        if (known := self._remembered(key)) is not None:
            return known
        checkpoint = self._verified.checkpoint()
        look_up = partial(self._tokens.holder, digest(token))
        try:
            holder = await self._lookups.find(key, source, look_up)
        except Unavailable:
            return self._token_while_away(key, digest(token))
        if holder is None or holder.blocked:
            who = None if holder is None else holder.principal
            login = "" if who is None else account_name(who.login, who.tenant)
            because = "unknown or expired token" if holder is None else "blocked account"
            self._failures.write(login=login, source=source, because=because)
            raise self._refused(key, WRONG_TOKEN)
        left = holder.expires_at - self._clock.now()
        return self._accepted(key, holder.principal, checkpoint, good_for_s=left.total_seconds())

    @property
    def changes(self) -> int:
        """Grows when entries are invalidated: a holder of a principal must authenticate again."""
        return self._verified.checkpoint()

    def forget(self, user_id: UserId) -> None:
        """Invalidate a user who was blocked or deleted or has a new password."""
        self._forget(lambda principal: principal.user_id == user_id)

    def forget_tenant(self, tenant_id: TenantId) -> None:
        """Invalidate all users of a tenant."""
        self._forget(lambda principal: principal.tenant_id == tenant_id)

    def _forget(self, who: Callable[[Principal], bool]) -> None:
        self._verified.forget(who)
        self.copies.forget([one for one in self.copies.principals() if who(one)])

    def _begin(self, attempt: LoginAttempt) -> Check:
        """Return the running check of the same credentials, or begin one; raises Throttled.

        Several connections with the same credentials share one guess, one hash and one answer.
        """
        place = (attempt.key, attempt.login_source.networks[0].name)
        check = self._checking.get(place)
        if check is None:
            attempt.guess = self._throttle.attempt(attempt.login_source, attempt.key)
            check = self._checking[place] = Check(attempt)
        else:
            self._throttle.check_wait(attempt.login_source)
        return check

    async def _shared_result(self, check: Check) -> Principal:
        """Wait for a check; the first waiter that is not cancelled carries it out."""
        check.waiting += 1
        try:
            async with check.lock:
                if check.result is None:
                    check.result = await self._result(check.attempt)
        finally:
            check.waiting -= 1
            if not check.waiting:
                self._checking.pop(
                    (check.attempt.key, check.attempt.login_source.networks[0].name), None
                )
        if isinstance(check.result, FarmError):
            raise check.result.with_traceback(None)
        return check.result

    async def _result(self, attempt: LoginAttempt) -> Principal | FarmError:
        try:
            return await self._in_turn(attempt)
        except Unauthenticated as error:
            if attempt.guess is not None:
                self._throttle.found_wrong(attempt.login_source, attempt.key)
            return error
        except (Throttled, Unavailable) as error:  # the password was not checked
            self._throttle.undo(attempt.guess)
            return error

    async def _in_turn(self, attempt: LoginAttempt) -> Principal:
        login_source = attempt.login_source
        async with self._throttle.turn(login_source) as turn:
            known = (
                self._remembered(attempt.key)
                if self._throttle.may_use_cache(login_source)
                else None
            )
            if known is not None:
                # A cache hit does not clear the counted failures. A client may reconnect every
                # second, and somebody else behind its address could then guess as often.
                self._throttle.undo(attempt.guess)
            else:
                try:
                    known = await self._check(attempt)
                except Unauthenticated:
                    turn.outcome = Outcome.WRONG
                    raise
            turn.outcome = Outcome.RIGHT
            return known

    async def _check(self, attempt: LoginAttempt) -> Principal:
        checkpoint = self._verified.checkpoint()
        try:
            found = await self._credentials(attempt.name)
        except Unavailable:
            return await self._known_while_away(attempt)
        try:
            good = await self._is_right(attempt.password, found)
        except Unavailable:  # the hasher's queue is full; the database answered
            self._throttle.count_unverified(attempt.login_source, attempt.key)
            raise
        if found is None or not good or found.blocked:
            if attempt.guess is not None:  # else a repetition, which does not count as a guess
                self._failures.write(
                    login=_login_for_log(attempt.name, found),
                    source=attempt.source,
                    because=_reason(found, good=good),
                )
            raise self._refused(attempt.key, WRONG)
        self._throttle.forgive(attempt.login_source)
        await self._familiar.save(found.principal.user_id, attempt.login_source)
        return self._accepted(attempt.key, found.principal, checkpoint)

    async def _known_while_away(self, attempt: LoginAttempt) -> Principal:
        """From the cache, or by the copy of the user's hash.

        A wrong password and an account without a copy get the same answer in the same time.
        """
        if not self._throttle.may_use_cache(attempt.login_source):
            raise _away()
        try:
            known = self._remembered_while_away(attempt.key) or await self._copied(attempt)
        except Unavailable:
            self._throttle.count_unverified(attempt.login_source, attempt.key)
            raise
        self._throttle.undo(attempt.guess)
        return known

    async def _copied(self, attempt: LoginAttempt) -> Principal:
        checkpoint = self._verified.checkpoint()
        found = self.copies.credentials(*self._names(attempt.name))
        good = await self._is_right(attempt.password, found)
        if found is None or not good or found.blocked:
            raise _away()
        return self._from_copy(attempt.key, found.principal, checkpoint)

    def _token_while_away(self, key: bytes, token_digest: bytes) -> Principal:
        known = self._remembered_while_away(key)
        if known is not None:
            return known
        found = self.copies.holder(token_digest)
        if found is None or found.blocked:
            raise _away()
        left = found.expires_at - self._clock.now()
        return self._from_copy(
            key, found.principal, self._verified.checkpoint(), token_left_s=left.total_seconds()
        )

    def _from_copy(
        self,
        key: bytes,
        principal: Principal,
        checkpoint: int,
        *,
        token_left_s: float = float("inf"),
    ) -> Principal:
        # Cached no longer than the copy is good: a login must not live on by being used.
        good_for_s = min(token_left_s, self.copies.left_s(principal.user_id))
        self._verified.remember(key, principal, checkpoint, good_for_s=good_for_s)
        LOGINS.labels("copied").inc()
        log.info("login_by_copy", extra={"user": principal.user_id})
        return principal

    def _remembered(self, key: bytes) -> Principal | None:
        return self._verified.find(key, younger_than_s=self._settings.remember_s)

    def _remembered_while_away(self, key: bytes) -> Principal | None:
        known = self._verified.find(key, younger_than_s=self._settings.remember_away_s)
        if known is not None:
            LOGINS.labels("remembered").inc()
            log.info("login_remembered", extra={"user": known.user_id})
        return known

    async def _credentials(self, name: LoginName) -> Credentials | None:
        try:
            return await self._users.credentials(*self._names(name))
        except Invalid:
            return None  # no valid SQL text, such as a name with a NUL

    def _names(self, name: LoginName) -> list[tuple[str, str]]:
        names = [(name.login, name.tenant)]
        if name.whole:
            names.append((name.whole, self._settings.default_tenant))
        return names

    async def _is_right(self, password: str, found: Credentials | None) -> bool:
        if found is None:
            return await self._hasher.verify_nobody(password)
        return await self._hasher.verify(found.password_hash, password)

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


def _away() -> Unavailable:
    LOGINS.labels("unavailable").inc()
    return Unavailable(
        "The database is away: only users whose desktop runs can log in, with the right password."
        " Try again later."
    )


def _login_for_log(name: LoginName, found: Credentials | None) -> str:
    if found is None:
        return shortened(name.login)
    return account_name(found.principal.login, found.principal.tenant)


def _reason(found: Credentials | None, *, good: bool) -> str:
    """Why a login is refused. Only the log says it; the client must not learn it."""
    if found is None:
        return "unknown account"
    return "blocked account" if good else "wrong password"
