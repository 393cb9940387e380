"""Another user of the host prepares files and folders, and root's commands come by.

The user can write where everybody can, and owns some folders; they are to learn nothing, and to
have nothing of root's written, owned, deleted or waited for.
"""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from qvdnode.cli import saved_login
from qvdnode.cli.demo.client import photograph
from qvdnode.cli.demo.plan import DemoPlan
from qvdnode.cli.demo.report import Report
from qvdnode.cli.demo.screen import DemoScreen
from qvdnode.cli.doctor.examine import examine
from qvdnode.cli.doctor.finding import Level
from qvdnode.cli.image_tar import tar_of
from qvdnode.cli.qvdnode.program import app
from qvdnode.cli.saved_login import SavedLogin
from qvdnode.client.pins import PinStore
from qvdnode.client.target import Target
from qvdnode.client.x11_watch import WindowWatcher
from qvdnode.daemon import state_folder
from qvdnode.daemon.load import load, parse
from qvdnode.daemon.opening import require_certificate
from qvdnode.daemon.settings import TlsSettings
from qvdnode.daemon.state_lock import StateLock
from qvdnode.db.backup import TABLES, backup
from qvdnode.db.backup_archive import Manifest, open_archive, write_archive
from qvdnode.db.pool import Database
from qvdnode.image import builder, recipes
from qvdnode.model.errors import BadConfig, Conflict, HostFailed
from qvdnode.runtime.clock import SystemClock
from tests.harness.stranger import UID, as_stranger, dangling_link, fifo, link, own_file, racing

SECRET = b"only root may read this"
EMPTY = Manifest(4, "2026-01-01T00:00:00+00:00", ())
PIN = "SHA256:" + "0" * 64
Preparing = Callable[[Path, Path], None]


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder as /tmp is, which guests can pass."""
    made = Path(tempfile.mkdtemp(prefix="qvdnode-test-", dir="/var/tmp"))
    made.chmod(0o1777)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def theirs(public: Path) -> Path:
    """A folder of the other user's."""
    folder = public / "theirs"
    as_stranger(folder.mkdir)
    return folder


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A file of root's that must stay as it is."""
    file = tmp_path / "victim"
    file.write_bytes(SECRET)
    file.chmod(0o600)
    yield file
    facts = file.stat()
    assert (file.read_bytes(), facts.st_uid, facts.st_mode & 0o777) == (SECRET, 0, 0o600)


PREPARED = [link, dangling_link, fifo, own_file]


class TestBackup:
    """All passwords and tokens of the farm, and the key of the node."""

    @pytest.mark.parametrize("prepare", PREPARED)
    def test_a_staging_file_that_was_prepared(
        self, public: Path, victim: Path, prepare: Preparing
    ) -> None:
        target = public / "monday.tar"
        as_stranger(lambda: prepare(public / "monday.tar.part", victim))
        write_archive(target, EMPTY, {}, {"node.key": victim})
        assert (target.stat().st_uid, target.stat().st_mode & 0o777) == (0, 0o600)
        with open_archive(target) as archive:
            assert list(archive.files()) == [("node.key", SECRET)]
        assert not victim.with_name("not-there-yet").exists()
        left = (public / "monday.tar.part").lstat()
        assert not stat.S_ISREG(left.st_mode) or prepare is own_file

    @pytest.mark.parametrize("prepare", PREPARED)
    def test_a_target_that_was_prepared(
        self, public: Path, victim: Path, prepare: Preparing
    ) -> None:
        target = public / "monday.tar"
        as_stranger(lambda: prepare(target, victim))
        with pytest.raises(Conflict, match="exists already"):
            write_archive(target, EMPTY, {}, {})
        assert not victim.with_name("not-there-yet").exists()

    def test_a_race_for_the_staging_file(self, public: Path, victim: Path) -> None:
        def open_whatever_comes() -> None:
            for path in public.iterdir():
                if path.name.startswith((".", "monday.tar.part")):
                    content = path.read_bytes()
                    (public / "stolen").write_bytes(content)

        with racing(open_whatever_comes):
            for number in range(100):
                write_archive(public / f"monday.tar{number}", EMPTY, {}, {"node.key": victim})
        assert not (public / "stolen").exists()

    @pytest.mark.postgres
    @pytest.mark.timeout(60)
    async def test_a_folder_of_somebody_elses(self, database: Database, theirs: Path) -> None:
        with pytest.raises(HostFailed, match="belongs to the user nobody"):
            await backup(database, theirs / "monday.tar", {})
        assert list(theirs.iterdir()) == []
        theirs.parent.chmod(0o777)  # not sticky: everybody may take away everything
        with pytest.raises(HostFailed, match="chmod go-w"):
            await backup(database, theirs.parent / "monday.tar", {})
        theirs.parent.chmod(0o1777)
        saved = await backup(database, theirs.parent / "monday.tar", {})
        assert [table.name for table in saved.tables] == list(TABLES)
        assert {path.name for path in theirs.parent.iterdir()} == {"theirs", "monday.tar"}

    def test_a_backup_that_somebody_else_put_there(self, public: Path, theirs: Path) -> None:
        good = public / "good.tar"
        write_archive(good, EMPTY, {}, {})
        with open_archive(good):
            pass
        shutil.copy(good, theirs / "mine.tar")
        as_stranger(lambda: (public / "link.tar").symlink_to(good))
        for path in (theirs / "mine.tar", public / "link.tar"):
            with pytest.raises(HostFailed, match="belongs to the user nobody"), open_archive(path):
                pass
        as_stranger(lambda: fifo(public / "fifo.tar", public))
        with (
            pytest.raises(HostFailed, match="not a regular file"),
            open_archive(public / "fifo.tar"),
        ):
            pass


class TestStateFolder:
    """Whoever controls it has the node's key, and hooks that run as root."""

    def test_a_folder_of_somebody_elses(self, theirs: Path) -> None:
        for state in (theirs, theirs / "state"):
            with pytest.raises(HostFailed, match=f"{theirs} belongs to the user nobody"):
                state_folder.prepare(state)
        assert list(theirs.iterdir()) == []
        assert theirs.stat().st_uid == UID

    def test_a_folder_that_others_may_write(self, public: Path) -> None:
        for state in (public, public / "state"):
            public.chmod(0o1777)
            if state is not public:
                state_folder.prepare(state)  # as demos in /var/tmp
                public.chmod(0o777)
            with pytest.raises(HostFailed, match=f"may write {public} .*chmod go-w {public}"):
                state_folder.prepare(state)

    @pytest.mark.parametrize("part", ["lxc", "tls", "state", "images", "homes", "run", "vms"])
    def test_a_part_that_somebody_put_there_before(self, public: Path, part: str) -> None:
        state = public / "state"
        as_stranger(lambda: (state / part).mkdir(parents=True))
        os.chown(state, 0, 0)  # as an administrator does who was told to
        with pytest.raises(HostFailed, match=f"state/{part} belongs to"):
            state_folder.prepare(state)

    @pytest.mark.parametrize(
        "name", ["tls/node.key", "lxc/qvd-1.conf", "lxc/guest.seccomp", "admin.token", "node.json"]
    )
    def test_a_file_that_somebody_put_there_before(self, public: Path, name: str) -> None:
        state = public / "state"
        state_folder.prepare(state)
        (state / name).touch()
        state_folder.prepare(state)
        os.chown(state / name, UID, UID)
        with pytest.raises(HostFailed, match=f"{name} belongs to"):
            state_folder.prepare(state)

    def test_a_link_to_a_folder_of_roots(self, public: Path) -> None:
        as_stranger(lambda: (public / "state").symlink_to("/etc"))
        with pytest.raises(BadConfig, match="link that belongs to the user nobody"):
            parse({"node": {"state_dir": str(public / "state")}})
        for words in (["purge"], ["demo"]):
            done = CliRunner().invoke(app, [*words, "--state-dir", str(public / "state")])
            assert (done.exit_code, "link that belongs to" in done.output) == (1, True)

    @pytest.mark.parametrize("words", [["init"], ["serve"], ["backup", "--to", "/nowhere/b.tar"]])
    def test_commands_refuse_it(self, public: Path, theirs: Path, words: list[str]) -> None:
        (theirs / "pg" / "data").mkdir(parents=True)
        config = public / "node.toml"
        config.write_text(f'[node]\nstate_dir = "{theirs}"\n')
        # In a process of its own: `serve` sets the log and the limits of the one it runs in.
        with StateLock(theirs):  # so that none goes on if it is not refused
            done = subprocess.run(
                [sys.executable, "-m", "qvdnode", *words, "--config", str(config)],
                check=False, capture_output=True, text=True,
            )  # fmt: skip
        told = f"{theirs} belongs to the user nobody" in done.stderr
        assert (done.returncode, told) == (1, True), done.stderr
        assert sorted(path.name for path in theirs.iterdir()) == ["node.lock", "pg"]

    def test_purge_refuses_it(self, theirs: Path) -> None:
        as_stranger((theirs / "images").mkdir)
        done = CliRunner().invoke(app, ["purge", "--state-dir", str(theirs)])
        assert (done.exit_code, f"{theirs} belongs to" in done.output) == (1, True)
        assert (theirs / "images").is_dir()

    @pytest.mark.mounts
    async def test_the_doctor_says_so_and_mounts_nothing_there(self, theirs: Path) -> None:
        config = parse({"node": {"state_dir": str(theirs / "state")}})
        found = {item.subject: item for item in await examine(config, SystemClock())}
        assert found["folder owner"].level is Level.ERROR
        assert f"{theirs} belongs to the user nobody" in found["folder owner"].text
        assert "Not tried" in found["overlay"].text


class TestConfiguration:
    """Whoever controls it tells root what to do."""

    def test_a_file_of_somebody_elses(self, public: Path, theirs: Path) -> None:
        ours = theirs / "node.toml"
        ours.write_text('[node]\nname = "one"\n')
        as_stranger(lambda: (public / "node.toml").write_text('[node]\nname = "two"\n'))
        for path in (ours, public / "node.toml"):
            with pytest.raises(BadConfig, match=r"is not used: .*belongs to the user nobody"):
                load(path, {})

    def test_a_fifo_makes_nobody_wait(self, public: Path) -> None:
        as_stranger(lambda: fifo(public / "node.toml", public))
        with pytest.raises(BadConfig, match="is not used"):
            load(public / "node.toml", {})

    def test_init_writes_none_into_a_folder_of_somebody_elses(
        self, public: Path, theirs: Path, victim: Path
    ) -> None:
        as_stranger(lambda: dangling_link(public / "node.toml", victim))
        for path in (theirs / "node.toml", public / "node.toml"):
            done = CliRunner().invoke(app, ["init", "--config", str(path)])
            assert done.exit_code == 1, done.output
        assert not victim.with_name("not-there-yet").exists()
        assert list(theirs.iterdir()) == []

    @pytest.mark.parametrize("key", ["tls.certificate", "tls.key"])
    def test_a_certificate_that_others_can_exchange(
        self, public: Path, theirs: Path, key: str
    ) -> None:
        files = {"tls.certificate": public / "node.crt", "tls.key": public / "node.key"}
        for path in files.values():
            path.touch(mode=0o600)
        require_certificate(TlsSettings(files["tls.certificate"], files["tls.key"]))
        files[key] = theirs / "node.pem"
        files[key].touch(mode=0o600)
        with pytest.raises(BadConfig, match="is not used") as caught:
            require_certificate(TlsSettings(files["tls.certificate"], files["tls.key"]))
        assert caught.value.key == key


class TestImages:
    """Built, and read, as root."""

    async def test_a_build_into_a_folder_of_somebody_elses(self, theirs: Path) -> None:
        with pytest.raises(HostFailed, match="belongs to the user nobody"):
            await builder.build(recipes.icewm(), theirs / "icewm", lambda *_: None)
        assert list(theirs.iterdir()) == []

    async def test_a_build_beside_a_staging_folder_that_was_prepared(
        self, public: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in (".icewm.building", ".icewm.abcd1234.building"):
            as_stranger((public / name).mkdir)
            as_stranger((public / name / "kept").touch)
        told = tmp_path / "told"
        program = tmp_path / "mmdebstrap"
        program.write_text(
            f'#!/bin/sh\nfor it; do case $it in *.building) stat -c %u "$it" >{told};; esac; done\n'
            "exit 1\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        with pytest.raises(HostFailed):
            await builder.build(recipes.icewm(), public / "icewm", lambda *_: None)
        assert told.read_text() == "0\n", "built in a folder of the other user's"
        kept = sorted(path.name for path in public.iterdir())
        assert kept == [".icewm.abcd1234.building", ".icewm.building"]

    def test_an_import_of_what_others_can_exchange(self, public: Path, theirs: Path) -> None:
        as_stranger(lambda: (public / "icewm").symlink_to("/etc"))
        as_stranger((public / "root.tar").touch)
        (theirs / "ours.tar").touch()
        for path in (public / "icewm", public / "root.tar", theirs, theirs / "ours.tar"):
            with pytest.raises(HostFailed, match="belongs to the user nobody"):
                tar_of(path)


class Drawn:
    """A watcher that has a picture at once."""

    async def drawn(self, window: int, limit_s: float) -> bytes:
        return b"picture"


@pytest.mark.parametrize("prepare", PREPARED)
async def test_a_screenshot_whose_name_was_taken(
    public: Path, victim: Path, prepare: Preparing
) -> None:
    target = public / "shot.png"
    as_stranger(lambda: prepare(target, victim))
    plan = DemoPlan(Path("/nowhere"), "demo", None, 0, 0, target, once=True)
    report = Report(SystemClock(), as_json=True)
    screen = DemoScreen(":1", own=True)
    await photograph(plan, report, screen, cast(WindowWatcher, Drawn()), 1)
    assert (target.read_bytes(), target.lstat().st_uid) == (b"picture", 0)
    assert not victim.with_name("not-there-yet").exists()


@pytest.mark.parametrize("prepare", PREPARED)
def test_what_a_user_keeps_below_a_folder_of_everybodys(
    public: Path, victim: Path, prepare: Preparing
) -> None:
    """As with XDG_DATA_HOME=/tmp/me: no name is predictable, and none is written through."""
    pins, login = public / "known_servers", public / saved_login.FILE_NAME
    drafts = [path.with_name(f".{path.name}.{os.getpid()}") for path in (pins, login)]

    def prepare_both() -> None:
        for draft in drafts:
            prepare(draft, victim)

    as_stranger(prepare_both)
    PinStore(pins).put(Target("desk", 8443), PIN)
    saved_login.save(SavedLogin("https://desk:8444", PIN, "token"), public)
    for path in (pins, login):
        assert (path.lstat().st_uid, path.lstat().st_mode) == (0, 0o100600)
    assert not victim.with_name("not-there-yet").exists()
