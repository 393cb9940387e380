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

from qvdnode.auth.core.attempt import Asker, account_name
from qvdnode.auth.core.guesses import Guess
from qvdnode.auth.failure_log import FailureLog, shortened
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
class Proof:
    """A login that is being checked, and what it was counted as."""

    name: LoginName
    password: str = field(repr=False)
    key: bytes
    asker: Asker
    source: str
    guess: Guess | None = None


@dataclass(slots=True)
class Check:
    """One check, for all connections that send the same proof from the same source meanwhile."""

    proof: Proof
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
        asker = self._throttle.asker(account, source)
        key = self._verified.key("basic", name.tenant, name.login, password)
        try:
            check = self._begin(Proof(name, password, key, asker, source))
            return await self._joined(check)
        except Throttled:
            LOGINS.labels("throttled").inc()
            self._failures.write(
                login=shortened(name.login), source=source, because="must wait", checked=False
            )
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

    def _begin(self, proof: Proof) -> Check:
        """The check of this proof, one that is going on or a new one; raises Throttled.

        The same proof several times at once is one guess, one hash and one answer.
        """
        place = (proof.key, proof.asker.networks[0].name)
        check = self._checking.get(place)
        if check is None:
            proof.guess = self._throttle.attempt(proof.asker, proof.key)
            check = self._checking[place] = Check(proof)
        else:
            self._throttle.refuse_early(proof.asker)
        return check

    async def _joined(self, check: Check) -> Principal:
        """The answer of a check, worked out by the first who comes to it and is not cancelled."""
        check.waiting += 1
        try:
            async with check.lock:
                if check.result is None:
                    check.result = await self._result(check.proof)
        finally:
            check.waiting -= 1
            if not check.waiting:
                self._checking.pop((check.proof.key, check.proof.asker.networks[0].name), None)
        if isinstance(check.result, FarmError):
            raise check.result.with_traceback(None)
        return check.result

    async def _result(self, proof: Proof) -> Principal | FarmError:
        try:
            return await self._in_turn(proof)
        except Unauthenticated as error:
            if proof.guess is not None:
                self._throttle.found_wrong(proof.asker, proof.key)
            return error
        except (Throttled, Unavailable) as error:  # it was not checked
            self._throttle.take_back(proof.guess)
            return error

    async def _in_turn(self, proof: Proof) -> Principal:
        asker = proof.asker
        async with self._throttle.turn(asker) as turn:
            known = self._remembered(proof.key) if self._throttle.may_ask_memory(asker) else None
            if known is not None:
                # this alone forgives nothing: a desktop's client may come in every second, and
                # somebody else behind its address is not to guess five times in each
                self._throttle.take_back(proof.guess)
            else:
                try:
                    known = await self._check(proof)
                except Unauthenticated:
                    turn.outcome = Outcome.WRONG
                    raise
            turn.outcome = Outcome.RIGHT
            return known

    async def _check(self, proof: Proof) -> Principal:
        checkpoint = self._verified.checkpoint()
        try:
            found = await self._credentials(proof.name)
        except Unavailable:
            return self._known_while_away(proof)
        try:
            good = await self._is_right(proof.password, found)
        except Unavailable:  # too many at once, which says nothing about the database
            self._throttle.not_judged(proof.asker, proof.key)
            raise
        if found is None or not good or found.blocked:
            if proof.guess is not None:  # else the same proof again, which is the same guess
                self._failures.write(
                    login=_login_for_log(proof.name, found),
                    source=proof.source,
                    because=_reason(found, good=good),
                )
            raise self._refused(proof.key, WRONG)
        self._throttle.forgive(proof.asker)
        await self._familiar.keep(found.principal.user_id, proof.asker)
        return self._accepted(proof.key, found.principal, checkpoint)

    def _known_while_away(self, proof: Proof) -> Principal:
        if not self._throttle.may_ask_memory(proof.asker):
            raise _away()
        try:
            known = self._remembered_while_away(proof.key)
        except Unavailable:
            self._throttle.not_judged(proof.asker, proof.key)
            raise
        self._throttle.take_back(proof.guess)
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
            names = [(name.login, name.tenant)]
            if name.whole:
                names.append((name.whole, self._settings.default_tenant))
            return await self._users.credentials(*names)
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


def _login_for_log(name: LoginName, found: Credentials | None) -> str:
    if found is None:
        return shortened(name.login)
    return account_name(found.principal.login, found.principal.tenant)


def _reason(found: Credentials | None, *, good: bool) -> str:
    """Why a login is refused, for the log alone."""
    if found is None:
        return "unknown account"
    return "blocked account" if good else "wrong password"
