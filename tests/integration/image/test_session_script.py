"""The session script of our images, in a real guest, against its contract."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from qvdnode.host import process
from qvdnode.wire.session_exit import SessionExit
from tests.integration.image.bare_guest import LISTENS, USUAL, BareGuest, asked, users_processes
from tests.integration.image.shown_screen import screen
from tests.waiting import until

pytestmark = [pytest.mark.lxc, pytest.mark.nx, pytest.mark.timeout(60)]

CLIMBING = "../../etc"
OPTIONS = {"KEYBOARD", "LINK", "GEOMETRY", "FULLSCREEN", "CLIENT"}
HOSTILE = (
    "$(touch /run/qvd/owned)", "`touch /run/qvd/owned`", "x;touch /run/qvd/owned", "a b", "a,b=c",
    "-rf", "--help", CLIMBING, "x\ny", "x\x7fy", "x:y", "'\"", "*", "\\033", "ñ",
)  # fmt: skip
CHECKED = (
    "LOGIN", "UID", "HOME", "SHELL", "HOSTNAME", "MACHINE_ID", "LOCALE", "TIMEZONE", "KEYBOARD",
    "LINK", "GEOMETRY", "FULLSCREEN", "CLIENT", "IDLE",
)  # fmt: skip


async def test_exit_codes_are_as_written_down(guest: BareGuest) -> None:
    assert await guest.session("start") == SessionExit.BAD_PARAMETERS
    guest.params(**USUAL)
    for verb, code in (
        ("nonsense", SessionExit.UNKNOWN_VERB),
        ("", SessionExit.UNKNOWN_VERB),
        ("status", SessionExit.NOT_RUNNING),
        ("resume", SessionExit.NOT_RUNNING),
        ("suspend", SessionExit.NOT_RUNNING),
    ):
        assert await guest.session(verb) == code, verb
    assert await guest.session("stop") == SessionExit.DONE
    assert await guest.session("start") == SessionExit.DONE
    await until(lambda: LISTENS in guest.log(), what="the display to listen")
    for verb, code in (
        ("start", SessionExit.ALREADY_RUNNING),
        ("status", SessionExit.DONE),
        ("resume", SessionExit.OPTIONS_HOLD),
        ("suspend", SessionExit.DONE),
        ("stop", SessionExit.DONE),
    ):
        assert await guest.session(verb) == code, verb
    assert await guest.session("status") == SessionExit.NOT_RUNNING


@pytest.mark.parametrize("key", CHECKED)
async def test_hostile_values_are_refused_and_run_nothing(guest: BareGuest, key: str) -> None:
    for value in HOSTILE:
        if key in OPTIONS and value == CLIMBING:
            continue  # only text there: nxagent makes no path of it
        guest.params(**{**USUAL, key: value})
        assert await guest.session("start") == SessionExit.BAD_PARAMETERS, f"{key}={value!r}"
    assert not (guest.run_folder / "owned").exists()
    assert await users_processes(guest) == ""


@pytest.mark.parametrize(
    "content",
    [
        b"LOGIN=zz\n",
        b"LOGIN=616\n",
        b"LOGIN\n",
        b"=61\n",
        b"PATH;reboot=61\n",
        b"$(reboot)=61\n",
        b"a=61\n",
        b"\xff\xfe",
        b"",
    ],
)
async def test_files_that_are_no_parameters_are_refused(guest: BareGuest, content: bytes) -> None:
    guest.raw_params(content)
    assert await guest.session("start") == SessionExit.BAD_PARAMETERS


async def test_the_account_is_whole_and_the_guest_has_its_names(listening: BareGuest) -> None:
    guest = listening
    told = await guest.run(
        "sh", "-c",
        "getent passwd alice; getent group 1000; id -un 1000; cat /etc/hostname /etc/machine-id "
        "/etc/timezone /etc/resolv.conf; date +%Z; grep -c : /etc/shadow; stat -c %a /etc/shadow",
    )  # fmt: skip
    lines = told.stdout.decode().splitlines()
    assert lines[:3] == ["alice:x:1000:1000:alice:/home/alice:/bin/bash", "alice:x:1000:", "alice"]
    assert lines[3:6] == ["desk-7", USUAL["MACHINE_ID"], "Europe/Madrid"]
    assert lines[6] == "search one.example two.example"
    assert lines[7:9] == ["nameserver 10.0.0.1", "nameserver 10.0.0.2"]
    assert lines[9] in {"CET", "CEST"}
    assert int(lines[10]) > 15
    assert lines[11] == "640"


async def test_the_desktop_has_a_clean_environment_and_the_skeleton(listening: BareGuest) -> None:
    guest = listening
    pid = await until(lambda: (guest.run_folder / "desktop.pid").read_text().strip())
    raw = await guest.run("cat", f"/proc/{pid}/environ")
    environment = dict(item.split("=", 1) for item in raw.stdout.decode().split("\0") if item)
    assert environment["HOME"] == "/home/alice"
    assert environment["USER"] == environment["LOGNAME"] == "alice"
    assert environment["LANG"] == "es_ES.UTF-8"
    assert environment["DISPLAY"] == ":100"
    assert environment["XDG_RUNTIME_DIR"] == "/run/user/1000"
    assert environment["DBUS_SESSION_BUS_ADDRESS"] == "unix:path=/run/user/1000/bus"
    assert not [key for key in environment if key.startswith(("P_", "LC_", "container"))]
    files = await guest.run("ls", "-A", "/home/alice")
    assert ".bashrc" in files.stdout.decode()


async def test_the_login_profile_and_the_sessions_own_files_count(guest: BareGuest) -> None:
    guest.params(**USUAL)
    script = """
        mkdir -p /home/alice/bin
        echo 'PATH=$HOME/bin:$PATH; export FROM_PROFILE="a b"; sleep 60 & exit 3' >.profile
        echo 'export FROM_XSESSIONRC=yes' >.xsessionrc
        chown -R 1000:1000 /home/alice
    """
    assert (await guest.run("sh", "-c", f"cd /home/alice; {script}")).returncode == 0
    assert await guest.session("start") == 0
    environment = await desktop_environment(guest, "FROM_XSESSIONRC")
    assert environment["PATH"].startswith("/home/alice/bin:/usr/local/bin:")
    assert environment["FROM_PROFILE"] == "a b"
    assert "PROFILE" not in environment
    assert "icewm" in await users_processes(guest)


async def test_a_profile_that_never_ends_does_not_keep_the_desktop_away(guest: BareGuest) -> None:
    guest.params(**USUAL)
    script = (
        "echo 'export EARLY=1; sleep 1000' >/home/alice/.profile; chown 1000 /home/alice/.profile"
    )
    await guest.run("sh", "-c", script)
    assert await guest.session("start") == 0
    await until(
        lambda: icewm_runs(guest), limit_s=30, what="the desktop, whatever the profile waits for"
    )


async def icewm_runs(guest: BareGuest) -> bool:
    return "icewm" in await users_processes(guest)


async def desktop_environment(guest: BareGuest, until_it_has: str) -> dict[str, str]:
    """The environment of the desktop, once the session's files have been read."""

    async def read() -> dict[str, str]:
        pid = (guest.run_folder / "desktop.pid").read_text().strip() or "none"
        raw = await guest.run("cat", f"/proc/{pid}/environ")
        found = dict(item.split("=", 1) for item in raw.stdout.decode().split("\0") if item)
        return found if until_it_has in found else {}

    return await until(read, limit_s=30, what="the desktop's environment")


@pytest.mark.parametrize(
    ("stated", "image", "counts"),
    [
        ("C.UTF-8", "LANG=eu_ES.UTF-8\n", "eu_ES.UTF-8"),
        ("es_ES.UTF-8", "LANG=eu_ES.UTF-8\n", "es_ES.UTF-8"),
        ("C.UTF-8", "LANG=$(reboot)\nLC_ALL=x\n", "C.UTF-8"),
    ],
)
async def test_the_images_own_locale_counts_where_none_is_named(
    guest: BareGuest, stated: str, image: str, counts: str
) -> None:
    await guest.run("sh", "-c", f"printf '{image}' >/etc/default/locale")
    guest.params(**{**USUAL, "LOCALE": stated})
    assert await guest.session("start") == 0
    assert (await desktop_environment(guest, "LANG"))["LANG"] == counts


async def test_options_of_the_display_follow_the_client(listening: BareGuest) -> None:
    guest = listening
    options = guest.run_folder / "nx-options"
    assert options.read_text(encoding="ascii") == (
        "nx/nx,keyboard=pc105/es,client=windows,tolerancechecks=risky,link=lan,geometry=800x600,listen=4100:100\n"
    )
    guest.params(**{**USUAL, "KEYBOARD": "pc104/us", "LINK": "56k", "FULLSCREEN": "1"})
    assert await guest.session("resume") == SessionExit.OPTIONS_HOLD
    told = options.read_text(encoding="ascii")
    assert (
        "keyboard=pc104/us,client=windows,tolerancechecks=risky,xinerama=0,link=56k,geometry=fullscreen,resize=1"
        in told
    )


async def test_a_client_sees_the_desktop(listening: BareGuest) -> None:
    guest = listening
    async with screen() as shown, shown.viewer(guest.address):
        await until(lambda: shown.shows("QVD"), limit_s=30, what="the window of nxagent")
        await until(lambda: "Session started" in guest.log(), what="the display to tell of it")
    await until(lambda: "Session suspended" in guest.log(), limit_s=30, what="a suspend")
    assert "icewm" in await users_processes(guest)


async def test_the_display_has_the_parameters_of_the_client(guest: BareGuest) -> None:
    guest.params(**{**USUAL, "FULLSCREEN": "1", "VARIANT": "cat"})
    assert await guest.session("start") == SessionExit.DONE
    await until(lambda: LISTENS in guest.log(), what="the display to listen")
    async with screen() as shown, shown.viewer(guest.address):
        await until(lambda: shown.shows("QVD"), limit_s=30, what="the window of nxagent")
        windows = await shown.windows()
        asked = await guest.run("env", "DISPLAY=:100", "setxkbmap", "-query")
    [window] = [line for line in windows.splitlines() if "NXAgent" in line]
    assert "1280x1024" in window  # the whole screen, so nxagent itself has read the options
    keyboard = dict(line.split() for line in asked.stdout.decode().splitlines())
    assert (keyboard["model:"], keyboard["layout:"], keyboard["variant:"]) == (
        "pc105", "es", "cat"
    )  # fmt: skip


async def test_the_end_of_the_desktop_ends_the_display(listening: BareGuest) -> None:
    guest = listening
    pid = await until(lambda: (guest.run_folder / "desktop.pid").read_text().strip())
    await guest.run("kill", pid)
    await until(lambda: ended(guest), what="the display to end")


async def test_the_end_of_the_display_ends_the_desktop(listening: BareGuest) -> None:
    guest = listening
    await until(lambda: (guest.run_folder / "desktop.pid").read_text().strip())
    pid = (guest.run_folder / "nxagent.pid").read_text().strip()
    await guest.run("kill", "-KILL", pid)

    async def gone() -> bool:
        left = await users_processes(guest)
        return "icewm" not in left and "display" not in left

    await until(gone, what="the desktop to end")
    assert await guest.session("start") == SessionExit.DONE


async def test_a_desktop_that_will_not_end_is_killed_within_the_limit(guest: BareGuest) -> None:
    guest.params(**USUAL, APPLICATION="trap '' TERM HUP; while :; do sleep 1; done")
    assert await guest.session("start") == SessionExit.DONE
    await until(lambda: LISTENS in guest.log(), what="the display to listen")
    await until(lambda: (guest.run_folder / "desktop.pid").read_text().strip())
    async with asyncio.timeout(15):
        assert await guest.session("stop") == SessionExit.DONE
    await until(lambda: nobody_left(guest), what="the last process of the user to end")


@pytest.mark.parametrize("forge", ["mkfifo", "mkdir", "ln -s /nowhere"])
async def test_forged_files_do_not_hold_up_a_stop(listening: BareGuest, forge: str) -> None:
    guest = listening
    files = "params session.log nx-options nxagent.log nxagent.pid desktop.pid"
    await guest.run("sh", "-c", f"cd /run/qvd; for f in {files}; do rm -f $f; {forge} $f; done")
    async with asyncio.timeout(30):
        assert await guest.session("stop") == SessionExit.DONE
    await until(lambda: nobody_left(guest), what="the last process of the user to end")


async def test_a_display_that_cannot_be_resized_is_resumed_all_the_same(
    listening: BareGuest,
) -> None:
    guest = listening
    guest.params(**{**USUAL, "GEOMETRY": "640by480"})
    assert await guest.session("resume") == SessionExit.OPTIONS_HOLD
    assert "usage: resize" in (guest.run_folder / "session.log").read_text()


@pytest.mark.parametrize(
    ("login", "makes"),
    [
        ("daemon", "true"),
        ("ana", "echo ana:x:1000:1000::/home/ana:/bin/sh >>/etc/passwd"),
        ("ana", "echo ana:x:1500:1500::/home/ana:/bin/sh >>/etc/passwd"),
        ("sudo", "echo sudo:x:27: >>/etc/group"),
    ],
)
async def test_a_name_that_the_image_has_gives_no_rights_and_a_desktop_all_the_same(
    guest: BareGuest, login: str, makes: str
) -> None:
    await guest.run("sh", "-c", f"{makes}; echo wheel:x:900:ana >>/etc/group")
    ours = f"{login}-user"
    guest.params(**{**USUAL, "LOGIN": login})
    assert await guest.session("start") == SessionExit.DONE
    log = (guest.run_folder / "session.log").read_text()
    assert f"account or group {login}; the user's is {ours}" in log
    assert await asked(guest, "id", "-nu", "1000") == ours
    assert await asked(guest, "id", "-nG", "1000") == ours
    await until(lambda: LISTENS in guest.log(), what="the display to listen")
    assert await guest.session("resume") in {SessionExit.DONE, SessionExit.OPTIONS_HOLD}
    assert await guest.session("stop") == SessionExit.DONE
    assert await guest.session("start") == SessionExit.DONE
    assert (await asked(guest, "getent", "passwd", "1000")).split(":")[0] == ours
    assert (await guest.run("getent", "passwd", f"{ours}2")).returncode != 0


async def test_hooks_get_the_verb_and_what_the_client_sent(guest: BareGuest) -> None:
    hook = '#!/bin/sh\\necho "$1 $QVD_CUSTOM_ROOM $QVD_LOGIN" >>/run/qvd/hook\\n'
    path = "/usr/lib/qvd/hooks.d/10-note"
    await guest.run("sh", "-c", f"printf '{hook}' > {path}; chmod 755 {path}")
    guest.params(**USUAL, CUSTOM_ROOM='B 12 "$(id)"')
    assert await guest.session("start") == SessionExit.DONE
    assert (guest.run_folder / "hook").read_text() == 'start B 12 "$(id)" alice\n'
    # not OPTIONS_HOLD: a hook wants to be run each time
    assert await guest.session("resume") == SessionExit.DONE
    await guest.run("sh", "-c", f"echo 'exit 9' >> {path}")
    assert await guest.session("resume") in {SessionExit.FAILED, SessionExit.NOT_RUNNING}


async def test_a_user_who_plants_pids_gets_nothing_killed_but_their_own(
    listening: BareGuest,
) -> None:
    guest = listening
    (guest.run_folder / "desktop.pid").write_text("1\n")
    assert await guest.session("stop") == SessionExit.DONE
    assert (await guest.run("true")).returncode == 0
    await until(lambda: nobody_left(guest), what="the last process of the user to end")


async def test_pid_1_ends_the_guest_when_asked(listening: BareGuest) -> None:
    guest = listening
    await guest.run("kill", "-TERM", "1")

    async def gone() -> bool:
        return (await guest.run("true")).returncode != 0

    await until(gone, what="the guest to end")


@pytest.mark.parametrize("shell", ["dash", "bash"])
async def test_the_scripts_are_plain_shell(icewm_root: Path, shell: str) -> None:
    for name in ("session", "display", "init", "nx-dialog", "desktop"):
        await process.run([shell, "-n", icewm_root / "usr/lib/qvd" / name])


async def nobody_left(guest: BareGuest) -> bool:
    return await users_processes(guest) == ""


async def ended(guest: BareGuest) -> bool:
    with suppress(OSError):
        return await guest.session("status") == SessionExit.NOT_RUNNING
    return False
