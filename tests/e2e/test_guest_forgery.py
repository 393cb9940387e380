"""What a client puts into its options, and what a guest's root puts into the shared folder."""

import asyncio
import os
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.conftest import MakeDesk, Screen
from tests.e2e.guest_processes import guest_pids, in_guest, in_guest_as_root
from tests.e2e.test_desktop import viewing
from tests.harness.farm import Desk, until_vm
from tests.harness.node import NodeProcess
from tests.harness.qvd import Answer
from tests.harness.rest import Rest

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = (
    "lan,listen=127.0.0.1:4999",
    "lan:4999",
    "us,auth=none",
    "800x600,agent=/tmp/x",
    "1 -display :0",
    "--help",
    "$(touch /tmp/owned)",
    "`touch /tmp/owned`",
    "';touch /tmp/owned;'",
    "a\nCUSTOM=1",
    "a\r\nX: y",
    "../../etc/shadow",
    "%n%s",
    "é\x7f",
)
OPTIONS = (
    "os", "os.name", "os.version", "hostname", "type", "link", "keyboard", "geometry", "fullscreen",
    "timezone", "nxagent.extra_args", "printing.enabled", "printing.flavor", "usb.enabled",
    "usb.implementation", "audio.compression.enable", "audio.sound.enable",
    "audio.microphone.enable", "audio.redirect.enable", "audio.redirect.server",
    "audio.redirect.port", "unknown",
)  # fmt: skip
"""Every parameter that a client of any family sends, and one that none does."""
STOP_S = 5.0
"""Well below the limit after which a guest is killed."""
NODE_RSS_GROWTH_MAX = 64 << 20


async def connect_with(desk: Desk, **params: str) -> Answer:
    """Connect with these raw values, and hang up."""
    async with desk.dial() as connection:
        return await connection.connect(
            desk.vm_id, **{key: quote(value, safe="") for key, value in params.items()}
        )


def nx_options(desk: Desk) -> str:
    """The options that the guest's display was given."""
    return in_guest_as_root(desk, "cat /run/qvd/nx-options").strip()


def display_argv(desk: Desk) -> list[str]:
    """The command line of the guest's display."""
    for pid in guest_pids(desk):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        if words[0].endswith("nxagent"):
            return words[1:-1]
    raise AssertionError("the guest has no nxagent")


async def test_no_option_of_a_client_adds_anything_to_the_display(
    make: MakeDesk, rest: Rest
) -> None:
    desk = await make()
    plain = await connect_with(desk)
    assert plain.status == 101
    options, argv = nx_options(desk), display_argv(desk)
    assert options == "nx/nx,client=windows,tolerancechecks=risky,link=adsl,listen=4100:100"
    for value in HOSTILE:
        answer = await connect_with(desk, **dict.fromkeys(OPTIONS, value))
        assert answer.status in {101, 503}, answer  # 503: the one before is only just leaving
        assert nx_options(desk) == options, value
        assert display_argv(desk) == argv
    assert in_guest(desk, "ls /tmp/owned 2>/dev/null; true") == ""
    view = await until_vm(rest, desk.vm_id, state="running")
    assert view["generation"] == 1


async def test_hostile_options_at_the_very_start_start_a_plain_desktop(make: MakeDesk) -> None:
    desk = await make()
    answer = await connect_with(desk, **dict.fromkeys(OPTIONS, HOSTILE[0]))
    assert answer.status == 101
    assert (
        nx_options(desk) == "nx/nx,client=windows,tolerancechecks=risky,link=adsl,listen=4100:100"
    )
    assert display_argv(desk)[-1] == ":100"


async def test_good_options_reach_the_display(make: MakeDesk) -> None:
    desk = await make()
    answer = await connect_with(
        desk, link="lan", keyboard="pc105/de", geometry="1024x700+0+0", os="windows"
    )
    assert answer.status == 101
    assert nx_options(desk) == (
        "nx/nx,keyboard=pc105/de,client=windows,tolerancechecks=risky,link=lan,geometry=1024x700+0+0,listen=4100:100"
    )


NOTE = """#!/bin/sh
printf '%s\\n' "$1|$QVD_CUSTOM_room|$QVD_CUSTOM_print_er|$(env | grep -c owned)" >>/run/qvd/noted
"""


async def test_custom_parameters_reach_the_hooks_of_the_guest_and_mean_nothing_else(
    make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    desk = await make()
    async with viewing(desk, screen, tmp_path):
        in_guest_as_root(desk, "mkdir -p /usr/lib/qvd/hooks.d")
        hook = "/usr/lib/qvd/hooks.d/10-note"
        in_guest_as_root(desk, f"cat >{hook} <<'END'\n{NOTE}END\nchmod 755 {hook}")
    await until_vm(rest, desk.vm_id, display="suspended")
    values = {
        "room": 'B 12 "$(touch /tmp/owned)"\nLINK=6c616e',
        "print.er": "`touch /tmp/owned`,listen=1",
        "a": "'; touch /tmp/owned; '",
        "LINK": "lan",
    }
    query = "".join(f"&custom.{key}={quote(value, safe='')}" for key, value in values.items())
    async with desk.dial() as connection:
        answer = await connection.ask(
            f"/qvd/connect_to_vm?id={desk.vm_id}{query}", "Connection: Upgrade", "Upgrade: QVD/1.0"
        )
        assert answer.status == 101, answer
        noted = in_guest_as_root(desk, "cat /run/qvd/noted")
        assert noted == (
            'resume|B 12 "$(touch /tmp/owned)"LINK=6c616e|`touch /tmp/owned`,listen=1|3\n'
        )
        assert (
            nx_options(desk)
            == "nx/nx,client=windows,tolerancechecks=risky,xinerama=0,link=adsl,listen=4100:100"
        )
    assert in_guest(desk, "ls /tmp/owned 2>/dev/null; true") == ""


FORGERIES = {
    "links": "for f in params nxagent.log nxagent.pid session.log nx-options; do"
    " ln -sfT /etc/shadow $f; done",
    "pipes": "for f in params nxagent.log nxagent.pid session.log; do rm -f $f; mkfifo $f; done",
    "folders": "for f in params nxagent.log nxagent.pid; do rm -rf $f; mkdir $f; done",
    "sparse": "rm -f nxagent.log; truncate -s 1G nxagent.log 2>/dev/null; true",
    "flood": "head -c 1G /dev/zero >>nxagent.log 2>/dev/null; true",
    "lies": "rm -f nxagent.log; i=0; while [ $i -lt 500 ]; do"
    " echo 'Session: Session suspended at now'; echo 'Session: Session resumed at now';"
    " i=$((i+1)); done >nxagent.log; echo 1 >nxagent.pid",
    "inodes": "i=0; while [ $i -lt 500 ]; do touch x$i; i=$((i+1)); done 2>/dev/null; true",
}


def run_folder(desk: Desk) -> Path:
    """The folder that the guest shares with the node, on the host's side."""
    return desk.node.state_dir / "run" / str(desk.vm_id)


def rss(node: NodeProcess) -> int:
    """Bytes of memory that the node's process holds."""
    assert node.process is not None
    pages = int(Path(f"/proc/{node.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def test_forged_run_folders_hurt_their_own_guests_only(
    node: NodeProcess, make: MakeDesk, rest: Rest, screen: Screen, tmp_path: Path
) -> None:
    honest, forgers = await make(), {kind: await make() for kind in FORGERIES}
    shadow = Path("/etc/shadow").read_bytes()
    for kind, desk in forgers.items():
        async with viewing(desk, screen, tmp_path / kind):
            in_guest_as_root(desk, f"cd /run/qvd && {FORGERIES[kind]}")
            size = os.statvfs(run_folder(desk))
            assert size.f_blocks * size.f_frsize <= 1 << 20, kind
            assert "root:" not in (await rest.get(f"/vms/{desk.vm_id}/log"))["text"], kind
    before = rss(node)

    answers = [asyncio.create_task(connect_with(desk)) for desk in forgers.values()]
    async with viewing(honest, screen, tmp_path / "honest"):
        await until_vm(rest, honest.vm_id, display="connected", limit_s=30)
        # A forger's desktop may come back or not, but the node says which.
        assert {answer.status for answer in await asyncio.gather(*answers)} <= {101, 408, 500, 503}
    assert rss(node) - before < NODE_RSS_GROWTH_MAX
    assert Path("/etc/shadow").read_bytes() == shadow

    for kind, desk in forgers.items():
        in_guest_as_root(desk, f"cd /run/qvd && {FORGERIES[kind]}")
        began_s = asyncio.get_running_loop().time()
        await rest.post(f"/vms/{desk.vm_id}/stop?wait=true")
        assert asyncio.get_running_loop().time() - began_s < STOP_S, kind
    for kind, desk in forgers.items():
        assert not run_folder(desk).exists(), kind
        async with viewing(desk, screen, tmp_path / f"{kind} again"):
            await until_vm(rest, desk.vm_id, state="running", display="connected")


NAMES_PROCESSES = """
cd /run/qvd && while ! [ -s desktop.pid ]; do sleep 0.1; done
read -r display <nxagent.pid && read -r desktop <desktop.pid || exit 1
for turn in $(seq 60); do
    for pid in $desktop $display; do
        echo $pid >nxagent.pid
        printf '%s\n' 'Session: Session suspended at' 'Info: Waiting for connection from' \
            'Session: Session resumed at' >>nxagent.log
        sleep 0.03
    done
done
"""
NODE_DESCRIPTORS_GROWTH_MAX = 20
"""Less than one for each turn of the above."""


async def test_a_user_who_names_process_after_process_takes_no_descriptors_of_the_node(
    node: NodeProcess, make: MakeDesk
) -> None:
    desk = await make()
    assert (await connect_with(desk)).status == 101
    before = descriptors(node)
    in_guest(desk, NAMES_PROCESSES)
    assert descriptors(node) - before < NODE_DESCRIPTORS_GROWTH_MAX


def descriptors(node: NodeProcess) -> int:
    """How many the node's process has open."""
    assert node.process is not None
    return len(list(Path(f"/proc/{node.process.pid}/fd").iterdir()))
