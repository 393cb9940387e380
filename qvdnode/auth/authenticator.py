"""Who is asking? Passwords and user tokens, checked against the database or remembered.

A login that was good keeps working for a while without the database, so that whoever has a running
desktop gets back to it. Nothing tells whether an account exists: answers and their times are alike.

A password passes these in order, and while one refuses, the right password is refused like a wrong
one, in the same time: the throttle of its account and source, which counts it before anything is
looked up; the turn of its source; and only then the memory of good logins, the database, the hash.
"""

import asyncio
import logging
import random
import secrets
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from qvdnode.auth.core.guesses import Guess
from qvdnode.auth.core.login_source import LoginSource, account_name
from qvdnode.auth.failure_log import FailureLog
from qvdnode.auth.familiar_sources import FamiliarSources
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
from qvdnode.telemetry.metrics import Counter

log = logging.getLogger(__name__)

LOGINS = Counter("qvdnode_logins_total", "Logins by their outcome", ["outcome"])

WRONG: Final = "The user name or the password is wrong, or the account is blocked."
WRONG_TOKEN: Final = "The token is unknown, has expired, or its account is blocked."


@dataclass(slots=True)
class LoginAttempt:
    """A login that is being checked, and what it was counted as."""

    name: LoginName
    password: str = field(repr=False)
    key: bytes
    login_source: LoginSource
    source: str
    guess: Guess | None = None


@dataclass(slots=True)
class Check:
    """One check, for all connections that send the same attempt from the same source meanwhile."""

    attempt: LoginAttempt
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    result: Principal | FarmError | None = None


class Authenticator:
    """Turns proofs into principals."""

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
        self._checking: dict[tuple[bytes, str], Check] = {}

    async def basic(self, login: str, password: str, *, source: str) -> Principal:
        """The user of a login, which may name a tenant after its last @ or #, and a password.

        Raises Unauthenticated, Throttled, and Unavailable when the database is away and this login
        is not remembered.
        """
        name = parse_login(login, self._settings.default_tenant)
        account = account_name(name.login, name.tenant)
        login_source = self._throttle.login_source(account, source)
        key = self._verified.key("basic", name.tenant, name.login, password)
        try:
            check = self._begin(LoginAttempt(name, password, key, login_source, source))
            return await self._shared_result(check)
        except Throttled:
            LOGINS.labels("throttled").inc()
            self._failures.write(login=account, source=source, because="must wait")
            raise

    async def bearer(self, token: str, *, source: str) -> Principal:
        """The user of a token; raises as `basic` does.

        What is remembered is asked first: nobody can guess 256 random bits, and whoever sends
        rubbish is not to delay the others behind the same address. Other tokens take turns.
        """
        key = self._verified.key("bearer", token)
        if (known := self._remembered(key)) is not None:
            return known
        checkpoint = self._verified.checkpoint()
        look_up = partial(self._tokens.holder, digest(token))
        try:
            holder = await self._lookups.find(key, source, look_up)
        except Unavailable:
            return self._remembered_while_away(key)
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
        """Grows when somebody is forgotten: who keeps a principal longer is to ask again then."""
        return self._verified.checkpoint()

    def forget(self, user_id: UserId) -> None:
        """Ask the database again about this user: blocked, deleted, or with a new password."""
        self._verified.forget(lambda principal: principal.user_id == user_id)

    def forget_tenant(self, tenant_id: TenantId) -> None:
        """Ask the database again about all users of a tenant."""
        self._verified.forget(lambda principal: principal.tenant_id == tenant_id)

    def _begin(self, attempt: LoginAttempt) -> Check:
        """The check of this attempt, one that is going on or a new one; raises Throttled.

        The same attempt several times at once is one guess, one hash and one answer.
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
        """The answer of a check, worked out by the first who comes to it and is not cancelled."""
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
        except (Throttled, Unavailable) as error:  # it was not checked
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
                # this alone forgives nothing: a desktop's client may come in every second, and
                # somebody else behind its address is not to guess five times in each
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
            return self._known_while_away(attempt)
        try:
            good = await self._is_right(attempt.password, found)
        except Unavailable:  # too many at once, which says nothing about the database
            self._throttle.count_unverified(attempt.login_source, attempt.key)
            raise
        if found is None or not good or found.blocked:
            account = account_name(attempt.name.login, attempt.name.tenant)
            because = _reason(found, good=good)
            self._failures.write(login=account, source=attempt.source, because=because)
            raise self._refused(attempt.key, WRONG)
        self._throttle.forgive(attempt.login_source)
        await self._familiar.save(found.principal.user_id, attempt.login_source)
        return self._accepted(attempt.key, found.principal, checkpoint)

    def _known_while_away(self, attempt: LoginAttempt) -> Principal:
        if not self._throttle.may_use_cache(attempt.login_source):
            raise _away()
        try:
            known = self._remembered_while_away(attempt.key)
        except Unavailable:
            self._throttle.count_unverified(attempt.login_source, attempt.key)
            raise
        self._throttle.undo(attempt.guess)
        return known

    def _remembered(self, key: bytes) -> Principal | None:
        return self._verified.find(key, younger_than_s=self._settings.remember_s)

    def _remembered_while_away(self, key: bytes) -> Principal:
        known = self._verified.find(key, younger_than_s=self._settings.remember_away_s)
        if known is None:
            raise _away()
        LOGINS.labels("remembered").inc()
        log.info("login_remembered", extra={"user": known.user_id})
        return known

    async def _credentials(self, name: LoginName) -> Credentials | None:
        try:
            return await self._users.credentials(name.login, name.tenant)
        except Invalid:
            return None  # a name that cannot even be asked for, such as one with a NUL

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
    return Unavailable("The database is away, so nobody can log in anew; try again later.")


def _reason(found: Credentials | None, *, good: bool) -> str:
    """Why a login is refused, for the log alone."""
    if found is None:
        return "unknown account"
    return "blocked account" if good else "wrong password"
