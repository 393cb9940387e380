"""What the session script does for whoever is away or comes back: lockers, notices, idle time."""

from functools import partial

import pytest

from qvdnode.wire.session_exit import SessionExit
from tests.integration.image.bare_guest import USUAL, BareGuest, asked, users_processes
from tests.waiting import until

pytestmark = [pytest.mark.lxc, pytest.mark.nx, pytest.mark.timeout(60)]

ASIDE = "</dev/null >/dev/null 2>&1 &"
AS_ALICE = "setpriv --reuid=1000 --regid=1000 --clear-groups"


async def pids_of(guest: BareGuest, name: str) -> list[str]:
    """The guest pids of the user's processes of that name."""
    return (
        await asked(guest, "sh", "-c", f"ps -u 1000 -o pid=,comm= | grep {name} || true")
    ).split()


async def test_a_reconnect_unlocks_a_screen_that_a_locker_of_the_image_has_locked(
    listening: BareGuest,
) -> None:
    guest = listening
    await guest.run("sh", "-c", f"cp /bin/sleep /usr/bin/i3lock; {AS_ALICE} i3lock 1000 {ASIDE}")
    assert await until(lambda: pids_of(guest, "i3lock"))
    assert await guest.session("resume") == SessionExit.DONE
    assert await pids_of(guest, "i3lock") == []


@pytest.mark.parametrize("locked", [True, False])
async def test_a_screen_saver_is_started_again_if_it_locks(
    listening: BareGuest, *, locked: bool
) -> None:
    guest, state = listening, "locked" if locked else "non-blanked"
    await guest.run(
        "sh", "-c",
        "cp /bin/sleep /usr/bin/xscreensaver;"
        f" printf '#!/bin/sh\\necho XScreenSaver: screen {state} since now\\n'"
        " >/usr/bin/xscreensaver-command; chmod 755 /usr/bin/xscreensaver-command;"
        f" {AS_ALICE} env MARK='of two words' xscreensaver 1000 {ASIDE}",
    )  # fmt: skip
    before = await until(lambda: pids_of(guest, "xscreensaver"))
    assert await guest.session("resume") == SessionExit.DONE

    async def as_should_be() -> bool:
        now = await pids_of(guest, "xscreensaver")
        return len(now) == 2 and (now[0] != before[0]) == locked

    await until(as_should_be, what="the screen saver to be there")
    (pid, _) = await pids_of(guest, "xscreensaver")
    assert "MARK=of two words" in await asked(
        guest, "sh", "-c", f"tr '\\0' '\\n' </proc/{pid}/environ"
    )
    assert (await asked(guest, "sh", "-c", f"tr '\\0' ' ' </proc/{pid}/cmdline")).endswith("1000")


async def shows(guest: BareGuest, sentence: str) -> bool:
    """Whether one window has the sentence, and no window another one."""
    listed = await users_processes(guest)
    told = [line for line in listed.splitlines() if line.startswith("xterm ")]
    return len(told) == 1 and told[0].endswith(sentence)


async def test_a_notice_is_shown_on_the_desktop(listening: BareGuest) -> None:
    guest = listening
    for number in (1, 2):
        sentence = f"Your home is full, {number}."
        (guest.run_folder / "notice").write_text(f"{sentence}\nmore\n")
        assert await guest.session("notify") == SessionExit.DONE
        assert await until(partial(shows, guest, sentence), limit_s=30)


async def test_a_notice_that_cannot_be_shown_for_want_of_processes_has_failed(
    listening: BareGuest,
) -> None:
    """Whatever it is that cannot be started: the script, the window, the program in it."""
    guest, sentence = listening, "This desktop may run few processes."
    (guest.run_folder / "notice").write_text(f"{sentence}\n")
    used = int(await asked(guest, "sh", "-c", "ps -L -u 1000 -o pid= | wc -l"))
    codes = []
    for processes_max in (1, *range(used, used + 12)):
        limited = ["prlimit", f"--nproc={processes_max}", "/usr/lib/qvd/session", "notify"]
        codes.append((await guest.run(*limited)).returncode)
        if codes[-1] == SessionExit.DONE:
            break
    assert codes == [SessionExit.FAILED] * (len(codes) - 1) + [SessionExit.DONE]
    assert await until(partial(shows, guest, sentence), limit_s=30)


async def test_a_notice_needs_a_display_and_a_text(guest: BareGuest) -> None:
    guest.params(**USUAL)
    assert await guest.session("notify") == SessionExit.NOT_RUNNING
    assert await guest.session("start") == SessionExit.DONE
    assert await guest.session("notify") == SessionExit.BAD_PARAMETERS


async def test_the_display_is_told_how_long_it_may_be_idle(guest: BareGuest) -> None:
    guest.params(**{**USUAL, "IDLE": "15"})
    assert await guest.session("start") == SessionExit.DONE
    assert "-timeout 900 " in await users_processes(guest)
