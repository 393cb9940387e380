"""The desktop comes up, whatever the user has done to the files of the home."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qvdnode.image.settings import ImageSettings
from tests.integration.image.bare_guest import BareGuest
from tests.waiting import until

pytestmark = [pytest.mark.lxc, pytest.mark.nx, pytest.mark.timeout(90)]

PARAMETERS = {"LOGIN": "alice", "LINK": "lan", "GEOMETRY": "800x600"}
DESKTOP_LIMIT_S = 45.0
HOMES = {
    "config-is-a-file": "touch .config .cache .local",
    "config-leads-nowhere": "ln -s /nowhere/config .config; ln -s .cache .cache",
    "config-not-ours": "mkdir .config .cache; chmod 0 .config; chown 0 .cache",
    "profile-is-a-folder": "mkdir .profile .xprofile .xsessionrc .Xresources .xsession-errors",
    "profile-is-a-pipe": "mkfifo .profile .xprofile",
    "profile-without-end": "echo \"trap '' TERM; while :; do :; done\" >.profile",
    "profile-is-too-long": "echo 'export X=$(head -c 200000 /dev/zero | base64 -w 0)' >.profile",
    "profile-breaks-the-path": "echo 'PATH=/nowhere; export PATH' >.profile",
    "errors-are-a-pipe": "mkfifo .xsession-errors",
    "errors-lead-nowhere": "ln -s /nowhere/at/all .xsession-errors",
    "setup-is-a-pipe": "mkfifo .xsessionrc",
    "setup-without-end": "echo 'while :; do :; done' >.xsessionrc",
    "setup-fails": "echo 'if then fi (' >.xsessionrc",
    "home-not-readable": "touch .profile; chmod 0 .",
    "home-is-full": (
        "mount -t tmpfs -o size=64k none .; cd /home/alice; chown 1000:1000 .;"
        " head -c 1m /dev/zero >full; test -s full"
    ),
    "home-without-inodes": (
        "mount -t tmpfs -o nr_inodes=3 none .; cd /home/alice; chown 1000:1000 .;"
        " for n in 1 2 3 4; do touch $n; done; ! test -e 4"
    ),
    "dotfiles-are-huge": (
        "for file in .profile .xprofile .Xresources .xsessionrc; do"
        " yes '# much ado' | head -c 20m >$file; done"
    ),
}
SYSTEMS = {
    "x11-folder-is-a-file": ("rm -rf /tmp/.X11-unix; touch /tmp/.X11-unix", "in the place of"),
    "run-user-is-a-file": ("rm -rf /run/user; touch /run/user", "in the place of"),
    "passwd-is-a-folder": ("rm /etc/passwd; mkdir /etc/passwd", "the account could not be made"),
    "tmp-is-closed": ("chmod 0 /tmp", None),
    "hosts-leads-nowhere": ("ln -sf /nowhere/hosts /etc/hosts", None),
    "hosts-is-a-folder": ("rm /etc/hosts; mkdir -p /etc/hosts/deep", None),
    "locale-is-a-folder": ("rm -f /etc/default/locale; mkdir /etc/default/locale", None),
}
"""What the guest's root does, and what the session says then; None if the desktop comes up."""


@pytest.fixture
async def guest(settings: ImageSettings, icewm_root: Path) -> AsyncIterator[BareGuest]:
    bare = BareGuest(settings, icewm_root)
    try:
        await bare.start()
        yield bare
    finally:
        await bare.stop()


@pytest.mark.parametrize("odd", HOMES.values(), ids=HOMES.keys())
async def test_the_desktop_comes_up(guest: BareGuest, odd: str) -> None:
    make = f"mkdir -p /home/alice; cd /home/alice; chown -h 1000:1000 .; {odd}"
    own = "find . -mindepth 1 -user 0 ! -name .cache -exec chown -h 1000:1000 {} +"
    assert (await guest.run("sh", "-c", f"{make}; {own}")).returncode == 0
    guest.params(**PARAMETERS)
    assert await guest.session("start") == 0

    await desktop_runs(guest)


@pytest.mark.parametrize(("odd", "said"), SYSTEMS.values(), ids=SYSTEMS.keys())
async def test_it_comes_up_or_says_why_whatever_root_has_done(
    guest: BareGuest, odd: str, said: str | None
) -> None:
    assert (await guest.run("sh", "-c", odd)).returncode == 0
    guest.params(**PARAMETERS)
    assert (await guest.session("start") == 0) is (said is None)
    if said is None:
        await desktop_runs(guest)
    else:
        assert said in (guest.run_folder / "session.log").read_text()


async def desktop_runs(guest: BareGuest) -> None:
    """Wait until it does."""

    async def desktop() -> bool:
        done = await guest.run("ps", "-u", "1000", "-o", "comm=")
        return "icewm" in done.stdout.decode().split()

    await until(desktop, limit_s=DESKTOP_LIMIT_S, what="the desktop")
    log = (await guest.run("cat", "/run/qvd/session.log")).stdout.decode()
    assert "start: display launched" in log
