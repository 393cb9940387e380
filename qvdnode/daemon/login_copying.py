"""Keeps copies of the login data of everybody whose desktop runs in the farm."""

from collections.abc import Callable
from typing import Final

from qvdnode.auth.login_copies import LoginCopies
from qvdnode.auth.ports import LoginCopyStore
from qvdnode.model.ids import UserId
from qvdnode.runtime.clock import Clock
from qvdnode.session.ports import DesktopHost

EVERY_S: Final = 2.0
"""So soon after its start a desktop can be reached without the database, at any node."""


async def keep_copies(
    copies: LoginCopies,
    host: DesktopHost,
    elsewhere: Callable[[], set[UserId]],
    store: LoginCopyStore,
    clock: Clock,
) -> None:
    """Follow what this node runs, and what others run, until cancelled."""
    while True:
        here = {status.order.vm.user_id for status in await host.statuses()}
        await copies.follow(here | elsewhere(), store)
        await clock.sleep(EVERY_S)
