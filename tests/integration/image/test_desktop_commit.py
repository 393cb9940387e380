"""What was changed in a desktop becomes a commit, and a version of it a desktop again."""

from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.cli.image_tar import tar_of
from qvdnode.host import process
from qvdnode.image.core.refs import Ref
from qvdnode.image.desktop_commit import DesktopCommit
from qvdnode.image.importer import Importer
from qvdnode.image.overlay import OverlayRootfs
from qvdnode.image.settings import ImageSettings
from qvdnode.image.store.verification import verify
from qvdnode.image.versions import ImageVersions
from qvdnode.model.errors import BadImage, NotFound
from qvdnode.model.ids import Generation
from tests.integration.image.bare_guest import IDS
from tests.integration.image.conftest import ORDER

pytestmark = pytest.mark.mounts

ONE, TWO = Generation(1), Generation(2)
BRANCH = Ref("tiny", "golden")
USER = "ana:x:1000:1000:ana:/home/ana:/bin/sh"
CHANGES = f"""
set -e
echo installed > usr/bin/tool && chmod 4755 usr/bin/tool && ln usr/bin/tool usr/bin/tool2
head -c 5000 /dev/zero | tr '\\0' x > usr/lib/big
rm var/lib/word
rm -r usr/lib/qvd && mkdir usr/lib/qvd
printf '#!/bin/sh\\n# qvd-session-version: 1\\n' > usr/lib/qvd/session
printf '#!/bin/sh\\n' > usr/lib/qvd/init
chmod 755 usr/lib/qvd/session usr/lib/qvd/init
echo '{USER}' >> etc/passwd
echo 'printing:x:101:101::/:/bin/false' >> etc/passwd
echo desk-7 > etc/hostname
mkdir -p home/ana var/log && echo secret > home/ana/letter && echo noise > var/log/noise
"""


async def in_guest(root: Path, script: str) -> None:
    """Run a script with the guest's ids, in its root."""
    argv = ["setpriv", f"--reuid={IDS.start}", f"--regid={IDS.start}", f"--groups={IDS.start}"]
    await process.run([*argv, "sh", "-c", f"cd {root} && {script}"])


async def test_changes_become_a_version_without_what_is_the_desktops_own(
    rootfs: OverlayRootfs, ready: ImageSettings
) -> None:
    made = await rootfs.mount(ORDER, ONE, IDS)
    await in_guest(made.root, CHANGES)
    versions = ImageVersions(ready)
    read: list[int] = []
    commit = DesktopCommit(versions, ready).commit(7, BRANCH, "golden", "ana", read.append)
    assert versions.branches.get(BRANCH) == commit
    assert versions.store.commit(commit).parents == (versions.branches.resolve("tiny"),)
    assert verify(versions.store, versions.branches).findings == []
    with versions.mounts.view(commit) as root:
        assert (root / "usr/bin/tool").read_text() == "installed\n"
        assert (root / "usr/bin/tool").stat().st_mode & 0o7777 == 0o4755
        assert (root / "usr/bin/tool").samefile(root / "usr/bin/tool2")
        assert (root / "usr/lib/big").stat().st_uid == 0
        assert not (root / "var/lib/word").exists()
        assert {path.name for path in (root / "usr/lib/qvd").iterdir()} == {"init", "session"}
        passwd = (root / "etc/passwd").read_text()
        assert "printing" in passwd
        assert "ana" not in passwd
        assert not (root / "etc/hostname").exists()
        assert list((root / "home").iterdir()) == []
        assert not (root / "var/log/noise").exists()
        importer = Importer(ready)
        again = await importer.import_tar(tar_of(root), "tiny")
        await importer.place(again, ORDER.flavour.image_id, 5)
    await rootfs.unmount(ORDER.vm.id, ORDER.user.id, ONE)
    second = await rootfs.mount(replace(ORDER, image_version=5), TWO, IDS)
    assert (second.root / "usr/bin/tool").stat().st_uid == IDS.start
    await rootfs.unmount(ORDER.vm.id, ORDER.user.id, TWO)


async def test_only_desktops_that_run_on_a_commit_can_be_committed(
    rootfs: OverlayRootfs, ready: ImageSettings
) -> None:
    versions = ImageVersions(ready)
    desktop = DesktopCommit(versions, ready)
    with pytest.raises(NotFound, match="does not run on this node"):
        desktop.commit(7, BRANCH, "", "ana", lambda _done: None)
    plain = ready.state_dir / "images/2/9/rootfs"
    plain.parent.mkdir(parents=True)
    with versions.view(ORDER.flavour.image_id, ORDER.image_version) as root:
        await process.run(["cp", "-a", str(root), plain])
    await rootfs.mount(replace(ORDER, image_version=9), ONE, IDS)
    with pytest.raises(BadImage, match="plain folder"):
        desktop.commit(7, BRANCH, "", "ana", lambda _done: None)
    await rootfs.unmount(ORDER.vm.id, ORDER.user.id, ONE)
    assert versions.branches.get(BRANCH) is None
