"""The client: connects, logs in, chooses a desktop, shows it, and reconnects."""

import random
from dataclasses import dataclass
from typing import Final

from qvdnode.client import nx_proxy, qvd_link, sandbox
from qvdnode.client.core import display_facts
from qvdnode.client.core.backoff import Backoff, Outage
from qvdnode.client.core.choice import choose
from qvdnode.client.core.refusal import PERMANENT
from qvdnode.client.display import prepare_display
from qvdnode.client.nx_proxy import StreamEnd
from qvdnode.client.servers import Server, dial_first
from qvdnode.client.target import Target
from qvdnode.client.trust import ANY, Trust
from qvdnode.model.desktop import DesktopEntry, SessionEnd
from qvdnode.model.errors import FarmError
from qvdnode.model.ids import VmId
from qvdnode.model.seat import Progress
from qvdnode.runtime.clock import Clock
from qvdnode.wire.qvd_client import basic_authorization

WHY_LIMIT_S: Final = 3.0
WHY_PAUSE_S: Final = 0.2
"""Total time and interval of the requests to the node for why a session ended."""


@dataclass(frozen=True, slots=True)
class Account:
    """A server, and the login to use there."""

    target: Target
    trust: Trust
    """How the server's certificate is checked before anything is sent."""
    login: str
    password: str
    others: tuple[Server, ...] = ()
    """More nodes of the same farm, for when this one does not answer."""

    def __repr__(self) -> str:
        """Hides the password, since this text may be logged."""
        return f"Account({self.target}, {self.login!r})"

    @property
    def servers(self) -> list[Server]:
        """All of them, the first one first."""
        return [Server(self.target, self.trust), *self.others]

    @property
    def authorization(self) -> str:
        """The header's value; raises Invalid."""
        return basic_authorization(self.login, self.password)


@dataclass(frozen=True, slots=True)
class Wishes:
    """A user's options for a connection; None is derived from the display and the network."""

    display: str
    vm: str | None = None
    fullscreen: bool = False
    geometry: str | None = None
    keyboard: str | None = None
    link: str | None = None


async def fingerprint_at(target: Target, clock: Clock, trust: Trust = ANY) -> str:
    """The fingerprint of the certificate shown there; nothing is sent.

    Raises what `qvd_link.dial` raises.
    """
    async with await qvd_link.dial(target, trust, clock) as link:
        return link.fingerprint


async def desktops_at(account: Account, clock: Clock) -> tuple[DesktopEntry, ...]:
    """The account's desktops and applications. Raises Unauthenticated, Forbidden, Unavailable."""
    async with (await dial_first(account.servers, clock)).link as link:
        return await link.desktops(account.authorization)


class Client:
    """Shows one desktop of one account on one display."""

    def __init__(
        self, account: Account, wishes: Wishes, tell: Progress, clock: Clock, rng: random.Random
    ) -> None:
        self._account = account
        self._wishes = wishes
        self._tell = tell
        self._clock = clock
        self._rng = rng
        self._vm_id: VmId | None = None
        self._lasted_s = 0.0
        self._confine = True
        self._servers = account.servers
        """In the order of the next attempt."""
        self.has_shown = False
        """Whether the server has handed over the desktop at least once."""
        self.end: SessionEnd | None = None
        """Why the session ended, None if the server does not know."""

    async def run(self, backoff: Backoff) -> StreamEnd:
        """Show the desktop until it ends for good; a dropped link is dialled again.

        The ending is DROPPED once `backoff` gives up on a link that comes back and drops again.
        Raises any error of the first connection. After a drop it raises errors that waiting cannot
        solve, or the last error once `backoff` gives up.
        """
        nx_proxy.must_be_installed()
        why = await sandbox.problem()
        self._confine = why is None
        if why is not None:
            self._tell(f"Warning: nxproxy has all rights of your account on this machine: {why}.")
        ending = await self._once()
        outage: Outage | None = None
        while ending is StreamEnd.DROPPED:
            now_s = self._clock.monotonic_s()
            if outage is None or self._lasted_s >= backoff.settled_s:
                outage = Outage(backoff, now_s)
            if outage.is_over(now_s):
                break
            self._tell("The link dropped; the desktop runs on. Connecting again.")
            ending = await self._come_back(outage)
        if ending is not StreamEnd.DROPPED:
            self.end = await self._ask_why()
        return ending

    async def _ask_why(self) -> SessionEnd | None:
        """Ask the node why the session ended; None if it is unreachable or does not know."""
        account, vm_id = self._account, self._vm_id
        if vm_id is None:
            return None
        until_s = self._clock.monotonic_s() + WHY_LIMIT_S
        try:
            async with (await dial_first(self._servers, self._clock)).link as link:
                end = await link.session_end(vm_id, account.authorization)
                # The stream may end before the display has reported the reason to the node.
                while not end.is_known and self._clock.monotonic_s() < until_s:
                    await self._clock.sleep(WHY_PAUSE_S)
                    end = await link.session_end(vm_id, account.authorization)
        except FarmError:
            return None
        return end if end.is_known else None

    async def _come_back(self, outage: Outage) -> StreamEnd:
        while True:
            await self._clock.sleep(outage.next_delay_s(self._rng))
            try:
                return await self._once()
            except PERMANENT:
                raise
            except FarmError as error:
                # It may be alone in refusing: another one is asked first the next time.
                self._servers.append(self._servers.pop(0))
                if outage.is_over(self._clock.monotonic_s()):
                    raise
                self._tell(f"{error} Trying again.")

    async def _once(self) -> StreamEnd:
        account = self._account
        self._tell(f"Connecting to {self._servers[0].target}")
        reached = await dial_first(self._servers, self._clock)
        for problem in reached.problems:
            self._tell(str(problem))
        if reached.server is not self._servers[0]:
            self._tell(f"{reached.server.target} answers instead.")
            self._servers.remove(reached.server)
            self._servers.insert(0, reached.server)
        async with reached.link as link:
            if self._vm_id is None:
                entries = await link.desktops(account.authorization)
                chosen = choose(entries, self._wishes.vm)
                self._vm_id = chosen.id
                self._tell(f"Desktop {chosen.name} ({chosen.id}) is {chosen.state}")
            query = await self._query(self._vm_id, link.round_trip_s)
            first = await link.connect(query, account.authorization, self._tell)
            self._tell("Connected")
            self.has_shown, began_s = True, self._clock.monotonic_s()
            ending = await nx_proxy.show(link, first, self._wishes.display, confine=self._confine)
            self._lasted_s = self._clock.monotonic_s() - began_s
            return ending

    async def _query(self, vm_id: VmId, round_trip_s: float) -> dict[str, str]:
        wishes = self._wishes
        facts = await prepare_display(wishes.display)
        guessed = display_facts.geometry(facts.width, facts.height, fullscreen=wishes.fullscreen)
        query = {
            "id": str(vm_id),
            "qvd.client.os": "linux",
            "qvd.client.type": "qvdnode",
            "qvd.client.geometry": wishes.geometry or guessed,
            "qvd.client.fullscreen": "1" if wishes.fullscreen else "0",
            "qvd.client.link": wishes.link or display_facts.link_class(round_trip_s),
        }
        keyboard = wishes.keyboard or facts.keyboard
        if keyboard is not None:
            query["qvd.client.keyboard"] = keyboard
        return query
