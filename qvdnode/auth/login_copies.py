"""Copies of the login data of users whose desktops run, for while the database is away.

A password is checked against the user's own slow hash, and a token against its digest, as always:
so users can log in at any node, also where they have never been. Copies are kept in memory only.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from qvdnode.auth.ports import LoginCopyStore
from qvdnode.auth.settings import AuthSettings
from qvdnode.model.errors import Unavailable
from qvdnode.model.ids import UserId
from qvdnode.model.principal import Credentials, LoginCopy, Principal, TokenHolder
from qvdnode.runtime.clock import Clock
from qvdnode.telemetry.metrics import Gauge

COPIES = Gauge("qvdnode_login_copies", "Users who can log in here while the database is away")


@dataclass(frozen=True, slots=True)
class Kept:
    """One copy, and when it was read."""

    copy: LoginCopy
    at_s: float


class LoginCopies:
    """A bounded table of copies; each is good for as long as a verified login is."""

    def __init__(self, clock: Clock, settings: AuthSettings) -> None:
        self._clock = clock
        self._settings = settings
        self._kept: dict[UserId, Kept] = {}
        self._names: dict[tuple[str, str], UserId] = {}
        self._tokens: dict[bytes, UserId] = {}
        self._forgotten = 0

    def __len__(self) -> int:
        """How many users there are copies of."""
        return len(self._kept)

    async def follow(self, users: Collection[UserId], store: LoginCopyStore) -> None:
        """Keep copies of these users; reads those that are missing or old.

        Copies of others are dropped at the next reading: while the database is away all stay, since
        a desktop may be missing from `users` for a moment only. Users beyond `remember_max` get
        none.
        """
        wanted = set(sorted(users)[: self._settings.remember_max])
        due = [user_id for user_id in wanted if not self._is_fresh(user_id)]
        if not due:
            return
        checkpoint = self._forgotten
        try:
            read = await store.copies(due)
        except Unavailable:
            return
        if checkpoint != self._forgotten:
            return  # what was read may be older than what was changed meanwhile
        self._drop(user_id for user_id in list(self._kept) if user_id not in wanted)
        self._drop(due)
        self._keep(read)
        COPIES.set(len(self._kept))

    def forget(self, principals: Iterable[Principal]) -> None:
        """Remove these, whose login data have changed."""
        self._forgotten += 1
        self._drop(principal.user_id for principal in principals)

    def principals(self) -> Sequence[Principal]:
        """Everybody of whom there is a copy."""
        return [kept.copy.credentials.principal for kept in self._kept.values()]

    def credentials(self, *names: tuple[str, str]) -> Credentials | None:
        """As ports.CredentialStore, from the copies."""
        for name in names:
            copy = self._good(self._names.get(name))
            if copy is not None:
                return copy.credentials
        return None

    def holder(self, token_digest: bytes) -> TokenHolder | None:
        """As ports.UserTokenStore, from the copies."""
        copy = self._good(self._tokens.get(token_digest))
        found = None if copy is None else copy.tokens.get(token_digest)
        return None if found is None or found.expires_at <= self._clock.now() else found

    def left_s(self, user_id: UserId) -> float:
        """How much longer the copy of this user is good; 0 without one."""
        kept = self._kept.get(user_id)
        if kept is None:
            return 0.0
        return max(0.0, kept.at_s + self._settings.remember_away_s - self._clock.monotonic_s())

    def _is_fresh(self, user_id: UserId) -> bool:
        kept = self._kept.get(user_id)
        return kept is not None and (
            self._clock.monotonic_s() - kept.at_s < self._settings.remember_s
        )

    def _good(self, user_id: UserId | None) -> LoginCopy | None:
        if user_id is None or self.left_s(user_id) <= 0:
            return None
        return self._kept[user_id].copy

    def _keep(self, copies: Iterable[LoginCopy]) -> None:
        now_s = self._clock.monotonic_s()
        for copy in copies:
            principal = copy.credentials.principal
            self._kept[principal.user_id] = Kept(copy, now_s)
            self._names[principal.login, principal.tenant] = principal.user_id
            self._tokens.update(dict.fromkeys(copy.tokens, principal.user_id))

    def _drop(self, user_ids: Iterable[UserId]) -> None:
        for user_id in user_ids:
            kept = self._kept.pop(user_id, None)
            if kept is None:
                continue
            principal = kept.copy.credentials.principal
            self._names.pop((principal.login, principal.tenant), None)
            for token_digest in kept.copy.tokens:
                self._tokens.pop(token_digest, None)
