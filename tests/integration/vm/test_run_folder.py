"""A guest that forges its run folder hurts only itself."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from qvdnode.daemon.load import parse
from qvdnode.host import mounts
from qvdnode.host.inotify import Inotify
from qvdnode.model.errors import HostFailed
from qvdnode.model.guest import IdRange
from qvdnode.model.ids import VmId
from qvdnode.vm.core.display import DisplayEvent
from qvdnode.vm.run_folder import EVENTS_MAX, TmpfsRunFolders
from tests.exhaustion import nothing_to_open_with
from tests.waiting import until

pytestmark = pytest.mark.mounts

VM = VmId(7)
OWNER = IdRange(0x7000_0000)
LISTENS = "Info: Waiting for connection from any host on socket 'tcp:*:4100'.\n"
SUSPENDED = "Session: Session suspended at 'now'.\n"


@pytest.fixture
async def folders(tmp_path: Path) -> AsyncIterator[TmpfsRunFolders]:
    inotify = Inotify()
    folders = TmpfsRunFolders(tmp_path / "run", inotify)
    await folders.create(VM, OWNER)
    yield folders
    await folders.sweep([])
    inotify.close()


async def test_a_state_folder_behind_a_link_is_adopted(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    inotify = Inotify()
    config = parse({"node": {"state_dir": str(tmp_path / "link")}})
    folders = TmpfsRunFolders(config.instance().run_folders, inotify)
    await folders.create(VM, OWNER)
    try:
        assert await folders.adopt(VM)
    finally:
        await folders.sweep([])
        for point in mounts.under(tmp_path):
            mounts.unmount(point)
        inotify.close()


class Ear:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[DisplayEvent] = []

    def __call__(self, events: Sequence[DisplayEvent]) -> None:
        self.heard.extend(events)


def log_of(folders: TmpfsRunFolders) -> Path:
    return folders.path(VM) / "nxagent.log"


async def test_it_belongs_to_the_guests_root_and_is_small(folders: TmpfsRunFolders) -> None:
    assert folders.path(VM).stat().st_uid == OWNER.start
    with pytest.raises(OSError, match="No space left"):
        log_of(folders).write_bytes(b"x" * 2_000_000)


async def test_a_log_is_heard_from_its_beginning_and_as_it_grows(folders: TmpfsRunFolders) -> None:
    log_of(folders).write_text(LISTENS, encoding="utf-8")
    ear = Ear()
    end = folders.follow(VM, ear)
    assert ear.heard == [DisplayEvent.LISTENS]
    with log_of(folders).open("a", encoding="utf-8") as log:
        log.write(SUSPENDED)
    await until(lambda: ear.heard[-1] is DisplayEvent.SUSPENDED)
    end()


class Exhausted(Inotify):
    """As on a host that has no watch left."""

    def watch(self, folder: Path, changed: Callable[[], None]) -> Callable[[], None]:
        raise HostFailed(f"cannot watch {folder}")


async def test_a_folder_that_cannot_be_watched_is_let_go(tmp_path: Path) -> None:
    folders = TmpfsRunFolders(tmp_path / "run", Exhausted())
    await folders.create(VM, OWNER)
    try:
        with pytest.raises(HostFailed, match="cannot watch"):
            folders.follow(VM, Ear())
        held = [entry.readlink() for entry in Path("/proc/self/fd").iterdir() if entry.exists()]
        assert folders.path(VM) not in held
    finally:
        await folders.remove(VM)


async def test_a_log_that_cannot_be_read_now_is_read_later(
    folders: TmpfsRunFolders, caplog: pytest.LogCaptureFixture
) -> None:
    log_of(folders).touch()
    ear = Ear()
    end = folders.follow(VM, ear)
    with log_of(folders).open("a", encoding="utf-8") as log, nothing_to_open_with():
        log.write(LISTENS)
        log.flush()
        await until(lambda: "log_not_read" in caplog.messages)
        assert ear.heard == []
    await until(lambda: ear.heard == [DisplayEvent.LISTENS])
    end()


async def test_a_replaced_or_cut_log_is_heard_anew(folders: TmpfsRunFolders) -> None:
    log_of(folders).write_text(LISTENS, encoding="utf-8")
    ear = Ear()
    end = folders.follow(VM, ear)
    log_of(folders).write_text("", encoding="utf-8")
    log_of(folders).write_text(SUSPENDED, encoding="utf-8")
    await until(lambda: ear.heard[-1] is DisplayEvent.SUSPENDED)
    other = folders.path(VM) / "other"
    other.write_text(LISTENS, encoding="utf-8")
    other.rename(log_of(folders))
    await until(lambda: ear.heard[-1] is DisplayEvent.LISTENS)
    end()


@pytest.mark.parametrize("forge", ["symlink", "fifo", "folder", "sparse"])
async def test_a_forged_log_neither_leaks_nor_blocks(
    folders: TmpfsRunFolders, forge: str, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SUSPENDED, encoding="utf-8")
    log = log_of(folders)
    match forge:
        case "symlink":
            log.symlink_to(secret)
        case "fifo":
            os.mkfifo(log)
        case "folder":
            log.mkdir()
        case _:
            with log.open("wb") as sparse:
                sparse.truncate(1 << 30)
    ear = Ear()
    folders.follow(VM, ear)()
    assert ear.heard == []
    assert "Session" not in folders.log_tail(VM)
    folders.trim(VM)


@pytest.mark.parametrize("content", [b"", b"x", b"-1", b"99999999999999", b"12\n34"])
async def test_a_forged_pid_is_none(folders: TmpfsRunFolders, content: bytes) -> None:
    (folders.path(VM) / "nxagent.pid").write_bytes(content)
    assert folders.display_pid(VM) is None


async def test_a_pid_is_read(folders: TmpfsRunFolders) -> None:
    (folders.path(VM) / "nxagent.pid").write_text("23\n", encoding="ascii")
    assert folders.display_pid(VM) == 23


async def test_parameters_replace_whatever_was_in_their_place(
    folders: TmpfsRunFolders, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    params = folders.path(VM) / "params"
    params.symlink_to(victim)
    folders.write_params(VM, b"LOGIN=61\n")
    assert victim.read_text(encoding="utf-8") == "mine"
    assert params.read_bytes() == b"LOGIN=61\n"
    assert not params.is_symlink()
    assert (params.stat().st_uid, params.stat().st_mode & 0o777) == (OWNER.start, 0o400)


async def test_a_long_log_of_a_suspended_display_is_cut(folders: TmpfsRunFolders) -> None:
    log_of(folders).write_text("noise\n" * 30_000 + SUSPENDED, encoding="utf-8")
    folders.trim(VM)
    assert log_of(folders).stat().st_size < 200
    ear = Ear()
    folders.follow(VM, ear)()
    assert ear.heard == [DisplayEvent.SUSPENDED]


@pytest.mark.parametrize("log", ["real", "sparse"])
async def test_a_log_in_a_full_folder_is_cut_or_left_but_never_lost(
    folders: TmpfsRunFolders, log: str
) -> None:
    if log == "real":
        log_of(folders).write_text("noise\n" * 30_000 + SUSPENDED, encoding="utf-8")
    else:
        with log_of(folders).open("wb") as sparse:
            sparse.truncate(200_000)
            sparse.seek(0, os.SEEK_END)
            sparse.write(SUSPENDED.encode())
    with pytest.raises(OSError, match="No space left"):
        (folders.path(VM) / "fill").write_bytes(b"x" * 2_000_000)
    folders.trim(VM)
    assert (log_of(folders).stat().st_size < 200) is (log == "real")
    assert "Session: Session suspended" in folders.log_tail(VM)


async def test_a_guest_that_floods_its_log_costs_a_bounded_share(folders: TmpfsRunFolders) -> None:
    ear = Ear()
    end = folders.follow(VM, ear)
    with log_of(folders).open("a", encoding="utf-8") as log:
        for _ in range(2_000):
            log.write("x" * 200 + "\n")
            log.flush()
        log.write(SUSPENDED)
    await until(lambda: ear.heard == [DisplayEvent.SUSPENDED])
    end()


async def test_of_a_flood_of_states_the_last_few_are_heard(folders: TmpfsRunFolders) -> None:
    at_once: list[int] = []
    ear = Ear()

    def hear(events: Sequence[DisplayEvent]) -> None:
        at_once.append(len(events))
        ear(events)

    log_of(folders).touch()
    end = folders.follow(VM, hear)
    with log_of(folders).open("a", encoding="utf-8") as log:
        log.write(LISTENS * 500 + SUSPENDED)
    await until(lambda: ear.heard[-1:] == [DisplayEvent.SUSPENDED])
    assert max(at_once) <= EVENTS_MAX
    end()


async def test_a_sweep_removes_only_entries_without_an_owner(folders: TmpfsRunFolders) -> None:
    await folders.create(VmId(8), OWNER)
    assert [Path(name).name for name in await folders.sweep([VM])] == ["8"]
    assert await folders.adopt(VM)
    assert not await folders.adopt(VmId(8))


async def test_a_folder_that_an_earlier_release_made_is_adopted_as_it_is(tmp_path: Path) -> None:
    point = tmp_path / "run" / str(VM)
    point.mkdir(parents=True)
    mounts.tmpfs(point, size_kib=64, inodes=16, owner=OWNER.start, mode=0o755)
    inotify = Inotify()
    folders = TmpfsRunFolders(tmp_path / "run", inotify)
    try:
        assert await folders.adopt(VM)
        assert folders.path(VM) == point
        await folders.remove(VM)
        assert not point.exists()
        await folders.create(VM, OWNER)
        assert folders.path(VM).parent == point
    finally:
        await folders.sweep([])
        inotify.close()
