"""What desktops change outside of their homes is kept, and moves to new versions of the image."""

import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.host import mounts, process
from qvdnode.image.importer import Importer
from qvdnode.image.kept.access import lent
from qvdnode.image.kept.applying import KeptFiles, Step
from qvdnode.image.kept.cleaning import KeptCleaner
from qvdnode.image.kept.ownership import shift
from qvdnode.image.layout import Layout
from qvdnode.image.overlay import OverlayRootfs
from qvdnode.image.settings import ImageSettings, SizeLimits
from qvdnode.model.errors import BadImage, Conflict, NotFound
from qvdnode.model.farm import DesktopOrder, KeptOverlay
from qvdnode.model.guest import GuestRoot, IdRange
from qvdnode.model.ids import Generation, UserId, VmId
from tests.fakes.clock import ManualClock
from tests.fakes.orders import desktop_order
from tests.integration.image.bare_guest import IDS
from tests.integration.image.conftest import SMALL
from tests.integration.image.tiny_root import Piece, complete, stream, tar

pytestmark = pytest.mark.mounts

VM, USER = VmId(7), UserId(5)
OTHER_IDS = IdRange(IDS.start + 65_536)
KEEP = replace(SMALL, overlay=KeptOverlay.KEEP)
TEXT = "one\ntwo\nthree\nfour\nfive\n"


def order(version: int) -> DesktopOrder:
    return replace(desktop_order(7, flavour=KEEP), image_version=version)


async def add_version(settings: ImageSettings, version: int, **files: str) -> None:
    """A version with these files below etc and usr."""
    importer = Importer(settings)
    pieces = [
        Piece(f"./{name.replace('__', '/')}", content.encode(), mode=0o644)
        for name, content in files.items()
    ]
    done = await importer.import_tar(stream(tar(complete(*pieces))), "tiny")
    await importer.place(done, KEEP.image_id, version)


class Desktop:
    """One desktop that is started and stopped."""

    def __init__(self, settings: ImageSettings) -> None:
        self.settings = replace(settings, size_limits=SizeLimits.LOOP)
        self.rootfs = OverlayRootfs(self.settings)
        self.generation = 0
        self.made: GuestRoot | None = None
        self.ids = IDS

    async def start(self, version: int, ids: IdRange = IDS) -> Path:
        self.generation += 1
        self.ids = ids
        self.made = await self.rootfs.mount(order(version), Generation(self.generation), ids)
        return self.made.root

    async def stop(self) -> None:
        await self.rootfs.unmount(VM, USER, Generation(self.generation))

    async def run(self, script: str) -> str:
        """Run a script as root of the guest, in its root."""
        assert self.made is not None
        start = self.ids.start
        argv = ["setpriv", f"--reuid={start}", f"--regid={start}", f"--groups={start}"]
        done = await process.run(
            [*argv, "sh", "-ec", f"cd {self.made.root} && {script}"], check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    async def undo(self) -> None:
        async with lent(Layout(self.settings.state_dir), VM, writable=True) as disk:
            self.rootfs.versions.kept.undo(VM, disk)

    @property
    def disk(self) -> Path:
        return self.settings.state_dir / "kept" / str(VM)


@pytest.fixture
async def desktop(settings: ImageSettings) -> AsyncIterator[Desktop]:
    await add_version(
        settings, 4, etc__conf=TEXT, usr__tool="old tool", usr__gone="x", usr__same="s"
    )
    await add_version(
        settings, 5, etc__conf=TEXT.replace("five", "FIVE"), usr__tool="new tool", usr__same="s"
    )
    made = Desktop(settings)
    yield made
    made.rootfs.close()


async def test_changes_stay_over_a_stop_and_other_ids(desktop: Desktop) -> None:
    await desktop.start(4)
    await desktop.run("echo mine > usr/own && rm usr/gone && mkdir tmp/x && echo z > tmp/x/lock")
    await desktop.stop()
    root = await desktop.start(4, OTHER_IDS)
    assert (root / "usr/own").read_text() == "mine\n"
    assert (root / "usr/own").stat().st_uid == OTHER_IDS.start
    assert not (root / "usr/gone").exists()
    assert not (root / "tmp/x").exists()  # as after a boot
    await desktop.run("echo more >> usr/own")
    await desktop.stop()
    assert mounts.under(desktop.settings.state_dir) == []


async def test_changes_move_to_the_next_version(desktop: Desktop) -> None:
    await desktop.start(4)
    await desktop.run(
        "echo mine > usr/own && chmod 700 usr/tool && sed -i s/one/ONE/ etc/conf && rm usr/same"
        " && touch usr/gone"
    )
    await desktop.stop()
    root = await desktop.start(5, OTHER_IDS)
    assert (root / "usr/own").read_text() == "mine\n"
    assert (root / "usr/tool").read_text() == "new tool"  # with the user's mode
    assert (root / "usr/tool").stat().st_mode & 0o777 == 0o700
    assert (root / "usr/tool").stat().st_uid == OTHER_IDS.start
    assert (root / "etc/conf").read_text() == "ONE\ntwo\nthree\nfour\nFIVE\n"
    assert not (root / "usr/same").exists()
    assert not (root / "usr/gone").exists()
    lease = desktop.rootfs.versions.leases()
    assert [one.version for one in lease.values()] == [5]
    await desktop.stop()


async def test_a_rebase_can_be_undone_and_stays_undone(desktop: Desktop) -> None:
    kept = desktop.rootfs.versions.kept
    await desktop.start(4)
    await desktop.run("chmod 700 usr/tool && sed -i s/one/ONE/ etc/conf && rm usr/same")
    await desktop.stop()
    with pytest.raises(BadImage, match="no rebase to undo"):
        await desktop.undo()
    await desktop.start(5)
    await desktop.run("echo later > usr/later")
    await desktop.stop()
    await desktop.start(5)
    with pytest.raises(Conflict, match="stop it first"):
        await desktop.undo()
    await desktop.stop()
    await desktop.undo()
    root = await desktop.start(5, OTHER_IDS)  # the head is 5, and it stays on 4
    assert (root / "usr/tool").read_text() == "old tool"
    assert (root / "usr/tool").stat().st_mode & 0o777 == 0o700
    assert (root / "etc/conf").read_text() == TEXT.replace("one", "ONE")
    assert (root / "usr/later").read_text() == "later\n"
    assert (root / "usr/gone").exists()
    await desktop.stop()
    kept.release(VM)
    root = await desktop.start(5)
    assert (root / "usr/tool").read_text() == "new tool"
    await desktop.stop()


async def test_an_undo_follows_no_link_that_the_desktop_has_made_since(
    desktop: Desktop, tmp_path: Path
) -> None:
    host = tmp_path / "host"
    host.mkdir()
    for name in ("conf", "tool"):
        (host / name).write_text("of the host")
        (host / name).chmod(0o640)
    await desktop.start(4)
    await desktop.run("chmod 700 usr/tool && sed -i s/one/ONE/ etc/conf")
    await desktop.stop()
    await desktop.start(5)
    await desktop.run(f"rm -r etc usr && ln -s {host} etc && ln -s {host} usr")
    await desktop.stop()
    await desktop.undo()
    assert sorted(path.name for path in host.iterdir()) == ["conf", "tool"]
    for path in host.iterdir():
        assert path.read_text() == "of the host"
        assert (path.stat().st_mode & 0o777, path.stat().st_uid) == (0o640, 0)
    root = await desktop.start(5)
    assert (root / "etc/conf").read_text() == TEXT.replace("one", "ONE")
    assert (root / "etc.user-old").readlink() == host, "what the desktop made is kept"
    await desktop.stop()


async def test_a_plan_changes_nothing_and_counts(desktop: Desktop) -> None:
    versions = desktop.rootfs.versions
    await desktop.start(4)
    await desktop.run("echo mine > usr/own && echo own > usr/tool")
    await desktop.stop()
    wanted = versions.commit_of(KEEP.image_id, 5)
    assert wanted is not None
    before = versions.kept.base(VM)
    async with lent(Layout(desktop.settings.state_dir), VM) as disk:
        report = versions.kept.plan(VM, wanted.commit, disk)
        with pytest.raises(NotFound, match="no kept overlay"):
            versions.kept.plan(VmId(99), wanted.commit, disk)
    assert [made.path for made in report.looks] == [b"/usr/tool"]
    assert sum(report.counts().values()) == len(report.decisions)
    assert versions.kept.base(VM) == before
    async with lent(Layout(desktop.settings.state_dir), VM, writable=True) as disk:
        assert versions.kept.move(VM, wanted.commit, disk) == report
    root = await desktop.start(5)
    assert (root / "usr/tool").read_text() == "own\n"
    await desktop.stop()


async def test_a_rebase_that_was_interrupted_goes_on(
    desktop: Desktop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desktop.start(4)
    await desktop.run("chmod 700 usr/tool && sed -i s/one/ONE/ etc/conf && touch usr/gone")
    await desktop.stop()
    done = KeptFiles._do
    steps = 0

    def fails_at_the_third(self: KeptFiles, step: Step) -> None:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise OSError(5, "the power is off")
        done(self, step)

    monkeypatch.setattr(KeptFiles, "_do", fails_at_the_third)
    with pytest.raises(Exception, match="the power is off"):
        await desktop.start(5)
    monkeypatch.undo()
    root = await desktop.start(5)
    assert (root / "usr/tool").read_text() == "new tool"
    assert (root / "usr/tool").stat().st_mode & 0o777 == 0o700
    assert (root / "etc/conf").read_text() == "ONE\ntwo\nthree\nfour\nFIVE\n"
    await desktop.stop()


async def test_the_commit_below_kept_changes_is_not_collected(desktop: Desktop) -> None:
    await desktop.start(4)
    await desktop.stop()
    versions = desktop.rootfs.versions
    base = versions.kept.base(VM)
    assert base is not None
    assert base.commit in versions.roots()
    versions.kept.remove(VM)
    assert versions.kept.all() == {}
    assert not os.path.lexists(desktop.disk)


async def test_changes_that_cannot_move_leave_the_desktop_where_it_was(
    desktop: Desktop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await desktop.start(4)
    await desktop.run("chmod 700 usr/tool")
    await desktop.stop()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(KeptFiles, "_new", full)
    root = await desktop.start(5)
    assert (root / "usr/tool").read_text() == "old tool"
    assert "overlay_not_rebased" in caplog.text
    await desktop.stop()
    monkeypatch.undo()
    root = await desktop.start(5)
    assert (root / "usr/tool").read_text() == "new tool"
    await desktop.stop()


async def test_what_no_desktop_has_any_more_is_deleted(desktop: Desktop) -> None:
    await desktop.start(4)
    await desktop.stop()
    kept = desktop.rootfs.versions.kept
    there = {VM}

    async def existing(vm_ids: Sequence[VmId]) -> set[VmId]:
        return there & set(vm_ids)

    cleaner = KeptCleaner(kept, existing, ManualClock())
    assert await cleaner.clean() == []
    there.clear()
    assert await cleaner.clean() == [VM]
    assert kept.all() == {}
    assert list((desktop.settings.state_dir / "kept").iterdir()) == []


def test_rights_stay_when_files_get_other_owners(state_dir: Path) -> None:
    folder = state_dir / "shifted"
    folder.mkdir()
    tool = folder / "tool"
    tool.write_text("x")
    (folder / "link").symlink_to("/etc/passwd")
    for path in (folder, tool, folder / "link"):
        os.chown(path, IDS.start, IDS.start + 5, follow_symlinks=False)
    tool.chmod(0o6755)
    header = (0x0300_0001).to_bytes(4, "little") + bytes(16)
    os.setxattr(tool, "security.capability", header + IDS.start.to_bytes(4, "little"))
    stranger = folder / "stranger"
    stranger.write_text("y")
    for _ in range(2):  # the second time there is nothing to do
        shift(folder, IDS, OTHER_IDS)
        facts = tool.stat()
        assert (facts.st_uid, facts.st_gid) == (OTHER_IDS.start, OTHER_IDS.start + 5)
        assert facts.st_mode & 0o7777 == 0o6755
        value = os.getxattr(tool, "security.capability")
        assert value == header + OTHER_IDS.start.to_bytes(4, "little")
        assert (folder / "link").lstat().st_uid == OTHER_IDS.start
        assert stranger.stat().st_uid == 0
