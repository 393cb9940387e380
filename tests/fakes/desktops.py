"""Desktops without a farm: the use cases of session.desktops over a dictionary."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from qvdnode.auth.authenticator import Authenticator
from qvdnode.model.desktop import DesktopEntry, SessionEnd
from qvdnode.model.display_params import DisplayParams
from qvdnode.model.errors import FarmError, Forbidden, NotFound, Unauthenticated
from qvdnode.model.farm import Vm
from qvdnode.model.ids import FlavourId, Generation, NodeId, TenantId, UserId, VmId
from qvdnode.model.principal import Principal
from qvdnode.model.seat import DisplayAddress, Progress, Seat, Viewer, ViewerId
from qvdnode.model.vm_state import DisplayState, VmState, WireState
from qvdnode.session.access import Permission
from qvdnode.session.connect import SessionTicket
from qvdnode.session.desktops import Desktops
from qvdnode.session.ports import ClientEnd
from tests.fakes.orders import desktop_order

SLAVE_KEY = "k" * 64
LEFT = SessionEnd(WireState.RUNNING, DisplayState.SUSPENDED, viewer=False, because="", failed=False)


def vm(number: int, *, user: int = 1, tenant: int = 1, blocked: bool = False) -> Vm:
    """A stopped VM of a user."""
    return Vm(
        id=VmId(number),
        tenant_id=TenantId(tenant),
        user_id=UserId(user),
        user_login=f"user{user}",
        flavour_id=FlavourId(1),
        flavour="desk",
        name=f"desk {number}",
        blocked=blocked,
        is_application=False,
        state=VmState.STOPPED,
        generation=Generation(0),
        owner_node=None,
        error=None,
    )


@dataclass(frozen=True, slots=True)
class Ended:
    """A ticket that was given back."""

    ticket: SessionTicket
    reason: str
    bytes_in: int
    bytes_out: int


@dataclass
class FakeDesktops(Desktops):
    """Hands out seats at one address; the newest viewer of a VM evicts the one before."""

    address: DisplayAddress
    node_id: NodeId | None = None
    """The node that runs the desktops."""
    here: NodeId | None = None
    """The node that the clients are connected to."""
    give_seat: Callable[[Viewer, Seat], None] = lambda _viewer, _seat: None
    """Called for each seat, before its client gets it."""
    vms: dict[int, Vm] = field(default_factory=dict)
    failure: Exception | None = None
    """What `connect` and `stop` raise after their progress sentences."""
    sentences: tuple[str, ...] = ()
    gate: asyncio.Event | None = None
    """What `connect` and `stop` wait for, if anything."""
    serving: bool = True
    end: SessionEnd = LEFT
    """What `session_end` answers."""
    listed: int = 0
    """How many lists were asked for."""
    ended_tickets: list[Ended] = field(default_factory=list)
    asked: list[DisplayParams] = field(default_factory=list)
    cancelled: int = 0
    """How often a wait at the gate was cancelled."""
    stopped: list[int] = field(default_factory=list)
    clients: dict[int, tuple[int, ClientEnd]] = field(default_factory=dict)
    tickets: int = 0
    authorised: int = 0
    """How often a user's right to a desktop was checked."""

    async def entries(self, principal: Principal, *, applications: bool) -> Sequence[DesktopEntry]:
        """The principal's VMs."""
        self.listed += 1
        return [
            DesktopEntry(one.id, one.name, WireState.STOPPED, one.blocked, one.is_application)
            for one in self.vms.values()
            if one.user_id == principal.user_id and one.is_application is applications
        ]

    async def authorise(self, principal: Principal, vm_id: VmId) -> Permission:
        """As the real one."""
        self.authorised += 1
        found = self.vms.get(vm_id)
        if found is None or found.tenant_id != principal.tenant_id:
            raise NotFound(f"There is no desktop {vm_id}.")
        if found.user_id != principal.user_id or found.blocked:
            raise Forbidden("This desktop belongs to somebody else, or is blocked.")
        return Permission(principal, replace(desktop_order(vm_id), vm=found))

    async def connect(
        self,
        permission: Permission,
        params: DisplayParams,
        client: ClientEnd,
        progress: Progress,
        *,
        source: str,
    ) -> SessionTicket:
        """A seat at the address, once the gate is open."""
        vm_id = permission.order.vm.id
        self.asked.append(params)
        await self._pass(progress)
        before = self.clients.get(vm_id)
        if before is not None:
            before[1].evict("Another client took this desktop over.")
        self.tickets += 1
        self.clients[vm_id] = (self.tickets, client)
        seat = Seat(self.node_id, vm_id, Generation(1), self.address, self.tickets)
        viewer = Viewer(ViewerId(str(self.tickets)), self.here)
        self.give_seat(viewer, seat)
        return SessionTicket(seat, viewer, self.tickets, SLAVE_KEY)

    def ended(self, ticket: SessionTicket, *, reason: str, bytes_in: int, bytes_out: int) -> None:
        """Remember it."""
        self.ended_tickets.append(Ended(ticket, reason, bytes_in, bytes_out))
        current = self.clients.get(ticket.seat.vm_id)
        if current is not None and current[0] == ticket.seat.ticket:
            del self.clients[ticket.seat.vm_id]

    async def session_end(self, permission: Permission) -> SessionEnd:
        """As the test set it."""
        return self.end

    async def stop(self, permission: Permission, progress: Progress) -> None:
        """Remember it, once the gate is open."""
        await self._pass(progress)
        self.stopped.append(permission.order.vm.id)

    async def issue_token(self, principal: Principal) -> tuple[int, str]:
        """Always the same."""
        return 5, f"token of {principal.login}"

    def alive(self) -> bool:
        """As set."""
        return self.serving

    def ready(self) -> str | None:
        """As set."""
        return None if self.serving else "not serving"

    async def _pass(self, progress: Progress) -> None:
        for sentence in self.sentences:
            progress(sentence)
            await asyncio.sleep(0)
        if self.gate is not None:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if self.failure is not None:
            raise self.failure


@dataclass
class FakeAuthenticator(Authenticator):
    """Knows logins and passwords in clear; a login's number is its user id."""

    passwords: dict[str, str] = field(default_factory=lambda: {"alice@acme": "secret"})
    tokens: dict[str, str] = field(default_factory=dict)
    """Login by token."""
    failure: FarmError | None = None
    checks: int = 0
    forgotten: int = 0

    @property
    def changes(self) -> int:
        """As set."""
        return self.forgotten

    async def basic(self, login: str, password: str, *, source: str) -> Principal:
        """The principal of a right password."""
        self.checks += 1
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        if self.passwords.get(login) != password:
            raise Unauthenticated("The user name or the password is wrong.")
        return self._principal(login)

    async def bearer(self, token: str, *, source: str) -> Principal:
        """The principal of a known token."""
        self.checks += 1
        await asyncio.sleep(0)
        if token not in self.tokens:
            raise Unauthenticated("The token is unknown.")
        return self._principal(self.tokens[token])

    def _principal(self, login: str) -> Principal:
        name, _, tenant = login.partition("@")
        number = list(self.passwords).index(login) + 1
        return Principal(UserId(number), TenantId(1), name, tenant or "default")
