"""Accounts and tokens in memory: what auth.ports promises, without a database."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from qvdnode.model.browser_session import BrowserSession
from qvdnode.model.errors import Conflict, NotFound, Unavailable
from qvdnode.model.familiar_login import FamiliarLogin
from qvdnode.model.ids import TenantId, UserId, VmId
from qvdnode.model.principal import Credentials, Operator, Principal, TokenHolder
from qvdnode.model.role import Role
from qvdnode.runtime.tokens import digest


def principal(login: str, tenant: str = "default", *, user_id: int = 1) -> Principal:
    """A principal of tenant 1."""
    return Principal(UserId(user_id), TenantId(1), login, tenant)


@dataclass(slots=True)
class FakeAccounts:
    """Satisfies CredentialStore and UserTokenStore; counts how often it is asked."""

    users: dict[tuple[str, str], Credentials] = field(default_factory=dict)
    tokens: dict[bytes, TokenHolder] = field(default_factory=dict)
    away: bool = False
    asked: int = 0

    def add(self, who: Principal, password_hash: str, *, blocked: bool = False) -> None:
        """Make or change a user."""
        self.users[who.login, who.tenant] = Credentials(who, password_hash, blocked)

    def give(self, token: str, who: Principal, expires_at: datetime, only_vm: int = 0) -> None:
        """Issue a token."""
        bound = VmId(only_vm) if only_vm else None
        holder = Principal(who.user_id, who.tenant_id, who.login, who.tenant, bound)
        self.tokens[digest(token)] = TokenHolder(holder, blocked=False, expires_at=expires_at)

    async def credentials(self, *names: tuple[str, str]) -> Credentials | None:
        """As CredentialStore."""
        self._ask()
        return next((self.users[name] for name in names if name in self.users), None)

    async def holder(self, token_digest: bytes) -> TokenHolder | None:
        """As UserTokenStore, others running meanwhile."""
        await asyncio.sleep(0)
        self._ask()
        return self.tokens.get(token_digest)

    def _ask(self) -> None:
        self.asked += 1
        if self.away:
            raise Unavailable("The database is away.")


@dataclass(slots=True)
class FakeFamiliarStore:
    """Satisfies FamiliarStore: who logged in from where, just now; counts what it was asked."""

    logins: dict[UserId, FamiliarLogin] = field(default_factory=dict)
    """How each user's name reads in what `of_network` gives."""
    rows: dict[str, set[UserId]] = field(default_factory=dict)
    """Users by network."""
    away: bool = False
    noted: int = 0
    asked: int = 0

    async def note(self, user_id: UserId, network: str) -> None:
        """As FamiliarStore."""
        self.noted += 1
        self._refuse_if_away()
        self.rows.setdefault(network, set()).add(user_id)

    async def of_network(self, network: str) -> list[FamiliarLogin]:
        """As FamiliarStore, others running meanwhile."""
        self.asked += 1
        await asyncio.sleep(0)
        self._refuse_if_away()
        return [self.logins[user] for user in self.rows.get(network, ()) if user in self.logins]

    def _refuse_if_away(self) -> None:
        if self.away:
            raise Unavailable("The database is away.")


@dataclass(slots=True)
class FakeApiTokens:
    """Satisfies ApiTokenStore."""

    rows: dict[bytes, Operator] = field(default_factory=dict)
    away: bool = False
    asked: int = 0

    async def add(
        self,
        name: str,
        token_digest: bytes,
        role: Role = Role.ADMIN,
        tenant_id: TenantId | None = None,
    ) -> int:
        """As ApiTokenStore."""
        if any(row.name == name for row in self.rows.values()):
            raise Conflict("There is a token of that name already.")
        self.rows[token_digest] = Operator(name, len(self.rows) + 1, role, tenant_id)
        return len(self.rows)

    async def operator(self, token_digest: bytes) -> Operator | None:
        """As ApiTokenStore."""
        self.asked += 1
        if self.away:
            raise Unavailable("The database is away.")
        return self.rows.get(token_digest)

    async def delete(self, token_id: int) -> None:
        """As ApiTokenStore."""
        found = [key for key, row in self.rows.items() if row.token_id == token_id]
        if not found:
            raise NotFound(f"There is no token {token_id}.")
        del self.rows[found[0]]


@dataclass(slots=True)
class FakeBrowserSessions:
    """Satisfies BrowserSessionStore; the database's clock stands still."""

    rows: dict[bytes, BrowserSession] = field(default_factory=dict)
    links: dict[bytes, Operator] = field(default_factory=dict)
    used: list[int] = field(default_factory=list)
    """The logins whose use was noted, in order."""
    unseen_s: float = 61.0
    """How long ago every login was used before."""
    away: bool = False
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    async def add(
        self, owner: Operator | Principal, digest: bytes, *, source: str, agent: str
    ) -> BrowserSession:
        """As BrowserSessionStore."""
        self._refuse_if_away()
        number, ends_at = len(self.rows) + 1, self.now + timedelta(hours=8)
        made = BrowserSession(
            number, owner, source, agent, self.now, self.now, ends_at, self.unseen_s
        )
        self.rows[digest] = made
        return made

    async def find(self, digest: bytes) -> BrowserSession | None:
        """As BrowserSessionStore."""
        self._refuse_if_away()
        return self.rows.get(digest)

    async def seen(self, session_id: int) -> None:
        """As BrowserSessionStore."""
        self._refuse_if_away()
        self.used.append(session_id)

    async def end(self, owner: Operator | Principal, session_id: int) -> None:
        """As BrowserSessionStore."""
        self._refuse_if_away()
        found = [
            key for key, row in self.rows.items() if (row.id, row.owner) == (session_id, owner)
        ]
        if not found:
            raise NotFound(f"There is no login {session_id}.")
        del self.rows[found[0]]

    async def add_link(self, operator: Operator, digest: bytes, life: timedelta) -> datetime:
        """As BrowserSessionStore."""
        self._refuse_if_away()
        self.links[digest] = operator
        return self.now + life

    async def take_link(self, digest: bytes) -> Operator | None:
        """As BrowserSessionStore."""
        self._refuse_if_away()
        return self.links.pop(digest, None)

    def _refuse_if_away(self) -> None:
        if self.away:
            raise Unavailable("The database is away.")
