"""The consoles of this node's guests, each of which one administrator may have at a time."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from qvdnode.model.console import SHOWN_MAX, TYPED_MAX, ConsoleOutput, ConsoleWish
from qvdnode.model.errors import Conflict, Invalid, NotFound, TimedOut
from qvdnode.model.guest import GuestSpec
from qvdnode.model.ids import VmId
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.vm.dependencies import FleetDependencies
from qvdnode.vm.guest_driver import Console, WithConsole
from qvdnode.vm.resources import GuestResources

log = logging.getLogger(__name__)

WAIT_S: Final = 1.0
"""For something to be shown, in one exchange."""
TYPE_LIMIT_S: Final = 5.0
IDLE_S: Final = 30.0
"""Without an exchange, after which an end is gone: its node may have died."""
HAS_NONE: Final = (
    "Desktops of the driver {driver} have no console. On their node, as root: {instead}"
)
INSTEAD: Final = {
    "lxc": "nsenter --target PID --all /bin/sh, PID being the first of lxc-ls --fancy",
    "docker": "docker exec -it {name} /bin/sh",
}
"""What to do for those of each driver."""
TAKEN: Final = "Somebody else has the console of this desktop; try again when they have left it."
NOT_RUNNING: Final = "This desktop does not run, so it has no console."


@dataclass(eq=False, slots=True)
class _Open:
    key: str
    console: Console
    driver: WithConsole
    spec: GuestSpec
    idle: asyncio.TimerHandle | None = None


class Consoles:
    """All that are open."""

    def __init__(self, dependencies: FleetDependencies) -> None:
        self._dependencies = dependencies
        self._open: dict[VmId, _Open] = {}

    async def exchange(
        self, vm_id: VmId, guest: GuestResources | None, wish: ConsoleWish
    ) -> ConsoleOutput:
        """As DesktopHost.console."""
        if len(wish.typed) > TYPED_MAX:
            raise Invalid(f"At most {TYPED_MAX} bytes can be typed at once.", field="typed")
        found = self._open.get(vm_id)
        if found is not None and found.key != wish.key:
            raise Conflict(TAKEN)
        if wish.ends:
            self._close(vm_id, found)
            return ConsoleOutput(b"", is_open=False)
        if found is None:
            if not wish.begins:
                return ConsoleOutput(b"", is_open=False)
            found = await self._begun(vm_id, guest, wish.key)
        self._put_off(vm_id, found)
        if wish.typed:
            return await self._typed(vm_id, found, wish.typed)
        return await self._shown(vm_id, found)

    async def _begun(self, vm_id: VmId, guest: GuestResources | None, key: str) -> _Open:
        running = self._dependencies.running(guest)
        if guest is None or running is None:
            raise NotFound(NOT_RUNNING)
        driver, spec = running
        if not isinstance(driver, WithConsole):
            instead = INSTEAD.get(guest.driver, "see docs/drivers.md").format(name=spec.name)
            raise Conflict(HAS_NONE.format(driver=guest.driver, instead=instead))
        opened = _Open(key, await driver.open_console(spec), driver, spec)
        if vm_id in self._open:  # by somebody else, meanwhile
            opened.console[1].transport.abort()
            raise Conflict(TAKEN)
        self._open[vm_id] = opened
        log.info("console_opened", extra={"vm": vm_id})
        return opened

    async def _typed(self, vm_id: VmId, found: _Open, typed: bytes) -> ConsoleOutput:
        writer = found.console[1]
        writer.write(typed)
        try:
            async with TimeLimit(TYPE_LIMIT_S):
                await writer.drain()
        except TimeoutError as error:
            raise TimedOut("The desktop does not take what is typed at its console.") from error
        except OSError:
            self._close(vm_id, found)
        return ConsoleOutput(b"", is_open=vm_id in self._open)

    async def _shown(self, vm_id: VmId, found: _Open) -> ConsoleOutput:
        try:
            async with TimeLimit(WAIT_S):
                shown = await found.console[0].read(SHOWN_MAX)
        except TimeoutError:
            return ConsoleOutput(b"", is_open=self._open.get(vm_id) is found)
        except OSError:
            shown = b""
        if not shown:
            self._close(vm_id, found)
        return ConsoleOutput(shown, is_open=bool(shown))

    def _put_off(self, vm_id: VmId, found: _Open) -> None:
        if found.idle is not None:
            found.idle.cancel()
        loop = asyncio.get_running_loop()
        found.idle = loop.call_later(IDLE_S, self._close, vm_id, found)

    def _close(self, vm_id: VmId, found: _Open | None) -> None:
        if found is None or self._open.get(vm_id) is not found:
            return
        del self._open[vm_id]
        if found.idle is not None:
            found.idle.cancel()
        found.console[1].transport.abort()
        found.driver.close_console(found.spec)
        log.info("console_closed", extra={"vm": vm_id})
