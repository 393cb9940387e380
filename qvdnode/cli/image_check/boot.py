"""Boots an image on a node of its own, which is gone afterwards, and looks at its desktop."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.cli.api_answers import Json
from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.demo.admin_token import working_token
from qvdnode.cli.demo.client import Errand, running_client
from qvdnode.cli.demo.node import running_node
from qvdnode.cli.demo.plan import LOOPBACK, DemoPlan
from qvdnode.cli.demo.screen import screen
from qvdnode.cli.doctor.finding import Finding, error
from qvdnode.cli.image_check.guest import GuestSession
from qvdnode.cli.image_check.verdicts import Idle, Seen, of_desktop, of_driver
from qvdnode.cli.name_lookup import DEFAULT_TENANT, tenant_id
from qvdnode.cli.saved_login import SavedLogin
from qvdnode.client.x11_watch import WindowWatcher
from qvdnode.daemon.announcement import Announcement
from qvdnode.daemon.drivers import image_problems
from qvdnode.daemon.load import load
from qvdnode.host import idle_load
from qvdnode.host.child import Child
from qvdnode.image.versions import ImageVersions
from qvdnode.model.errors import FarmError, HostFailed, TimedOut
from qvdnode.model.ids import ImageId
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.safe_files import replace_file
from qvdnode.runtime.supervise import Supervisor
from qvdnode.runtime.time_limit import TimeLimit

IMAGE: Final = "checked"
USER: Final = "check"
RESOURCES: Final[dict[str, object]] = {
    "memory_mib": 2048, "cpu_pct": 200, "disk_mib": 1024, "home_mib": 256,
}  # fmt: skip
SHOWN_LIMIT_S: Final = 120.0
DRAWN_LIMIT_S: Final = 60.0
SETTLE_S: Final = 40.0
"""What programs do at their start does not count as idle."""
IDLE_S: Final = 30.0
LEAVE_LIMIT_S: Final = 10.0
WHY_LIMIT_S: Final = 15.0
WHY_PAUSE_S: Final = 0.2
LOCKS: Final = (("xdg-screensaver", "lock"), ("loginctl", "lock-session"))
"""How programs lock; our images' menus and keys run /usr/lib/qvd/leave, as these do."""
NO_WORD: Final = "The client ended without a word."

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What is checked, and how."""

    state_dir: Path
    """State folder of the node; nothing in it is kept."""
    tar: AsyncIterator[bytes]
    add_session: bool
    picture: Path | None
    """Where to put a PNG of the desktop."""
    idle: bool
    """Whether to measure what the idle desktop does, which takes a minute."""


async def check(order: Order, clock: Clock, python: str, tell: Tell) -> list[Finding]:
    """The findings; raises FarmError when the check itself fails."""
    plan = DemoPlan(
        state_dir=order.state_dir, user=USER, password=secrets.token_urlsafe(12), client_port=0,
        admin_port=0, screenshot=None, once=True, desktop=IMAGE,
    )  # fmt: skip
    plan.folder.mkdir(mode=0o700)
    async with running_node(plan, python, clock) as (said, _node):
        login = SavedLogin(
            f"https://{LOOPBACK}:{said.admin_port}",
            said.fingerprint,
            await working_token(plan, clock),
        )
        async with ApiClient(login) as api:
            tell("importing the image")
            try:
                version = await api.import_image(
                    IMAGE, order.tar, add_session=order.add_session, progress=lambda _: None
                )
            except FarmError as refused:
                return [error("import", str(refused), "See docs/desktops.md")]
            tell("looking at its files")
            drivers = await asyncio.to_thread(_drivers, plan, int(version["version"]))
            vm_id = await _furnish(api, str(plan.password))
            tell("starting a desktop")
            look = _Look(plan, said, order, clock, tell)
            try:
                found = await look.findings(vm_id)
            except TimedOut as late:
                found = [_why(late, await _ended(api, vm_id, clock))]
            return [*drivers, *found]


def _drivers(plan: DemoPlan, version: int) -> list[Finding]:
    """For which drivers the image serves. Blocks."""
    settings = load(plan.config_file, {}).image
    with ImageVersions(settings).view(ImageId(1), version) as root:
        if root is None:
            raise HostFailed("the node does not have what was imported")
        work = plan.folder / "boot"
        work.mkdir(mode=0o700)
        return [of_driver(name, why) for name, why in image_problems(root, work).items()]


async def _furnish(api: ApiClient, password: str) -> int:
    """A user with a desktop of the image; the VM's id."""
    tenant = await tenant_id(api, DEFAULT_TENANT)
    flavour = await api.call(
        "POST", "/flavours", {"tenant_id": tenant, "name": IMAGE, "image": IMAGE, **RESOURCES}
    )
    user = await api.call(
        "POST", "/users", {"tenant_id": tenant, "login": USER, "password": password}
    )
    vm = await api.call(
        "POST", "/vms", {"user_id": user["id"], "name": IMAGE, "flavour_id": flavour["id"]}
    )
    return int(vm["id"])


async def _ended(api: ApiClient, vm_id: int, clock: Clock) -> Json:
    """The VM, with the reason of its end as soon as the node knows one."""
    deadline_s = clock.monotonic_s() + WHY_LIMIT_S
    while True:
        vm = await api.get(f"/vms/{vm_id}")
        if vm["last_end"] or clock.monotonic_s() > deadline_s:
            return vm
        await clock.sleep(WHY_PAUSE_S)


def _why(late: TimedOut, vm: Json) -> Finding:
    """Why no desktop was shown, as the node knows it."""
    said = "; ".join(vm["last_lines"])
    return error("display", vm["last_end"] or str(late), said or "See docs/troubleshooting.md")


class _Look:
    """Shows the desktop, and looks at it."""

    def __init__(
        self, plan: DemoPlan, said: Announcement, order: Order, clock: Clock, tell: Tell
    ) -> None:
        self._plan = plan
        self._said = said
        self._order = order
        self._clock = clock
        self._tell = tell

    async def findings(self, vm_id: int) -> list[Finding]:
        """All of them; raises TimedOut when no window came, with the client's last sentence."""
        guest = GuestSession(self._plan.state_dir / "vms" / str(vm_id))
        async with (
            screen(None) as shown_on,
            WindowWatcher(shown_on.display, self._clock) as watcher,
        ):
            began_s = self._clock.monotonic_s()
            async with self._shown(shown_on.display, watcher, vm_id) as (window, first):
                shown_s = self._clock.monotonic_s() - began_s
                picture = await self._drawn(watcher, window)
                drawn_s = None if picture is None else self._clock.monotonic_s() - began_s
                if picture is not None and self._order.picture is not None:
                    await asyncio.to_thread(replace_file, self._order.picture, picture, mode=0o644)
                self._tell("asking the session what it has")
                facts = await guest.facts()
                idle = await self._idle(guest) if self._order.idle else None
                self._tell("locking the desktop")
                left_by = {LOCKS[0][0]: await self._leaves(guest, LOCKS[0], first)}
            for lock in LOCKS[1:]:
                async with self._shown(shown_on.display, watcher, vm_id) as (_, again):
                    left_by[lock[0]] = await self._leaves(guest, lock, again)
        return of_desktop(Seen(shown_s, drawn_s, idle, left_by), facts)

    @contextlib.asynccontextmanager
    async def _shown(
        self, display: str, watcher: WindowWatcher, vm_id: int
    ) -> AsyncIterator[tuple[int, Child]]:
        """The desktop's window, and the client that shows it."""
        address = f"{LOOPBACK}:{self._said.client_port}"
        password = str(self._plan.password)
        errand = Errand(address, self._said.fingerprint, USER, password, vm_id)
        async with running_client(errand, display) as child:
            yield await _window(watcher, child), child

    async def _drawn(self, watcher: WindowWatcher, window: int) -> bytes | None:
        try:
            return await watcher.drawn(window, DRAWN_LIMIT_S)
        except TimedOut:
            return None

    async def _idle(self, guest: GuestSession) -> Idle:
        self._tell(f"measuring the idle desktop, for {SETTLE_S + IDLE_S:.0f} s")
        await self._clock.sleep(SETTLE_S)
        before = await asyncio.to_thread(lambda: idle_load.counters(guest.pids()))
        began_s = self._clock.monotonic_s()
        await self._clock.sleep(IDLE_S)
        after = await asyncio.to_thread(lambda: idle_load.counters(guest.pids()))
        loads = idle_load.loads(before, after, self._clock.monotonic_s() - began_s)
        whole = idle_load.total(loads)
        busiest = loads[0].name if loads else "nothing"
        return Idle(whole.cpu_pct, whole.wakeups_per_s, whole.pss_mib, busiest)

    async def _leaves(self, guest: GuestSession, lock: tuple[str, ...], child: Child) -> bool:
        """Whether locking disconnects the client."""
        with contextlib.suppress(TimedOut):
            await guest.ask(*lock)
        try:
            async with TimeLimit(LEAVE_LIMIT_S):
                await child.wait()
        except TimeoutError:
            return False
        return True


async def _window(watcher: WindowWatcher, child: Child) -> int:
    """The desktop's window; raises TimedOut, with what the client said if it has ended."""
    async with Supervisor("window") as tasks:
        with contextlib.suppress(TimeoutError, TimedOut):
            async with TimeLimit(SHOWN_LIMIT_S) as limit:
                _ = tasks.essential("client", _until_end(child, limit))
                return await watcher.wait_new(SHOWN_LIMIT_S)
    if child.returncode is None:
        raise TimedOut(f"No window of the desktop appeared within {SHOWN_LIMIT_S:g} s.")
    raise TimedOut(await _last_line(child))


async def _until_end(child: Child, limit: TimeLimit) -> None:
    await child.wait()
    limit.end_now()


async def _last_line(child: Child) -> str:
    if child.stdout is None or child.stderr is None:
        raise AssertionError("spawned with pipes")
    said = await child.stdout.read() + await child.stderr.read()
    lines = said.decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), NO_WORD)
