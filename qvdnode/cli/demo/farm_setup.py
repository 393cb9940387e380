"""Brings up the nodes of a demo's farm: the first makes it, the others join with a token."""

from dataclasses import dataclass
from typing import Any, Final

from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.demo.admin_token import working_token
from qvdnode.cli.demo.farm import furnish
from qvdnode.cli.demo.farm_nodes import DemoNodes, joined
from qvdnode.cli.demo.farm_plan import ADMIN_PORT, node_name
from qvdnode.cli.demo.plan import DemoPlan
from qvdnode.cli.demo.report import Report
from qvdnode.cli.saved_login import OtherNode, SavedLogin
from qvdnode.model.errors import TimedOut
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import Supervisor

TAKEOVER: Final = "at_connect"
HEALTHY_LIMIT_S: Final = 60.0
LOOK_AGAIN_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class FarmSetup:
    """What the steps of setting up have in common."""

    nodes: DemoNodes
    tasks: Supervisor
    """Ends the demo when a node ends by itself."""
    report: Report
    clock: Clock
    fingerprint: str
    """Fingerprint of the certificate that all nodes show."""

    async def bring_up(self, password: str) -> tuple[SavedLogin, int]:
        """All nodes serve, and a user has a desktop: the way to their REST, and the VM's id.

        Raises the API's errors, HostFailed and TimedOut.
        """
        first, *others = self.nodes.farm.members
        await self.nodes.prepare(first)
        await self.serve(first)
        login = self.login(await working_token(first, self.clock))
        async with ApiClient(login) as api:
            vm_id = await furnish(
                api, self.nodes.farm.base, password, self.report, takeover=TAKEOVER
            )
            for member in others:
                await self._add(api, member)
        await self.all_healthy(login)
        self.report.done("farm", "All nodes reach each other")
        return login, vm_id

    async def serve(self, member: DemoPlan) -> None:
        """Start a node that is prepared; raises HostFailed, TimedOut."""
        await self.nodes.start(member)
        self.watch(member)
        place = self.nodes.host(member)
        self.report.done(node_name(member), f"{node_name(member)} serves on {place}")

    def watch(self, member: DemoPlan) -> None:
        """End the demo with the node's log when it ends by itself."""
        _ = self.tasks.essential(node_name(member), self.nodes.watch(member))

    async def _add(self, api: ApiClient, member: DemoPlan) -> None:
        await self.nodes.prepare(member)
        await self.nodes.take_images(member)
        if not joined(member):
            invitation = await api.call("POST", "/nodes/invite", {"name": node_name(member)})
            _, *arguments = str(invitation["command"]).split()
            await self.nodes.join(member, arguments)
            self.report.done(f"join{member.number}", f"{node_name(member)} has joined the farm")
        await self.serve(member)

    async def all_healthy(self, login: SavedLogin) -> None:
        """Return when each node reaches all others and knows their load; raises TimedOut."""
        deadline_s = self.clock.monotonic_s() + HEALTHY_LIMIT_S
        for member in self.nodes.farm.members:
            url = f"https://{self.nodes.host(member)}:{ADMIN_PORT}"
            async with ApiClient(SavedLogin(url, self.fingerprint, login.token)) as api:
                while problems := self._problems(await api.items("/nodes")):
                    if self.clock.monotonic_s() > deadline_s:
                        raise TimedOut(f"{node_name(member)} does not find its farm: {problems[0]}")
                    await self.clock.sleep(LOOK_AGAIN_S)

    def _problems(self, rows: list[dict[str, Any]]) -> list[str]:
        wanted = {node_name(member) for member in self.nodes.farm.members}
        found = {row["name"]: row for row in rows if row["name"] in wanted}
        return [f"{name} is not in its list" for name in wanted - found.keys()] + [
            f"{name}: {row['reason'] or 'it has not been reached yet'}"
            for name, row in found.items()
            if row["reason"] is not None or not (row["here"] or row["reached"])
        ]

    def login(self, token: str, *, last: DemoPlan | None = None) -> SavedLogin:
        """The way to the REST of all nodes; `last` is the one that is asked last."""
        members = sorted(self.nodes.farm.members, key=lambda member: member == last)
        first, *others = (f"https://{self.nodes.host(member)}:{ADMIN_PORT}" for member in members)
        more = tuple(OtherNode(url, self.fingerprint) for url in others)
        return SavedLogin(first, self.fingerprint, token, others=more)
