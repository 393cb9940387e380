"""Locking a desktop leaves it: the login is the lock. Leaving is no toggle, however often asked."""

from pathlib import Path

import pytest

from tests.e2e.conftest import MakeDesk, Screen
from tests.e2e.guest_processes import in_guest
from tests.harness.farm import Desk, until_vm
from tests.harness.qvd import Viewer
from tests.harness.rest import Rest

pytestmark = pytest.mark.asyncio(loop_scope="session")

WINDOW_S = 60.0
SESSION = "PATH=/usr/local/bin:/usr/bin:/bin XDG_RUNTIME_DIR=/run/user/1000 QVD_RUN=/run/qvd"


def ask(desk: Desk, command: str) -> str:
    """What a program of the desktop's session says."""
    return in_guest(desk, f"export {SESSION}; {command}")


@pytest.mark.parametrize(
    "command",
    [
        "/usr/lib/qvd/leave",
        "loginctl lock-session",
        "loginctl lock-sessions",
        "xdg-screensaver lock",
        "xdg-screensaver activate",
        # one that waits for the log must not wake what another has suspended
        "for n in 1 2 3 4 5; do xdg-screensaver lock & done; wait; /usr/lib/qvd/leave",
    ],
)
async def test_every_lock_leaves_and_the_next_login_finds_all_as_it_was(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path, command: str
) -> None:
    desk = await make()
    for round_ in range(2):
        async with desk.dial() as connection:
            answer = await connection.connect(desk.vm_id, link="lan", geometry="800x600")
            assert answer.status == 101, answer
            async with Viewer(connection, screen.display, tmp_path / str(round_)) as viewer:
                await screen.watcher.drawn(await screen.watcher.wait_new(WINDOW_S), WINDOW_S)
                await until_vm(rest, desk.vm_id, display="connected")
                ask(desk, command)
                await viewer.over.wait()
        await until_vm(rest, desk.vm_id, state="running", display="suspended", generation=1)
        ask(desk, command)  # there is nobody to be left
        await until_vm(rest, desk.vm_id, state="running", display="suspended", generation=1)


async def test_the_rest_of_these_programs_does_what_it_can(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with desk.dial() as connection:
        answer = await connection.connect(desk.vm_id, link="lan", geometry="800x600")
        assert answer.status == 101, answer
        async with Viewer(connection, screen.display, tmp_path):
            await until_vm(rest, desk.vm_id, display="connected")
            assert ask(desk, "xdg-screensaver status") == "disabled\n"
            assert ask(desk, "xdg-screensaver suspend 0x1; echo $?") == "0\n"
            assert "no login manager" in ask(desk, "loginctl list-sessions 2>&1; true")
            assert ask(desk, "xdg-screensaver nonsense 2>/dev/null; echo $?") == "1\n"
            await until_vm(rest, desk.vm_id, display="connected")
