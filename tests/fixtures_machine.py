"""Real machines for tests: the shared IceWM root with a kernel of Debian in it, run by QEMU.

A pytest plugin. The root shares its files with the one of IceWM and is kept between runs, too.
"""

import fcntl
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from qvdnode.runtime.clock import SystemClock
from qvdnode.vm.core.kvm_argv import Accelerator
from qvdnode.vm.drivers.kvm import KvmDriver, KvmPlace
from tests.fixtures_guest import PLACES, RealGuests, guests_at
from tests.fixtures_image import build_if_missing
from tests.places import place_of_ones_own

KERNEL: Final = "linux-image-cloud-amd64"


def make_if_missing() -> Path:
    """The root, made now if there is none; two runs at once make it once."""
    plain = build_if_missing()
    root = plain.with_name(f"{plain.name}-kernel")
    if root.exists():
        return root
    with (root.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            _make(plain, root)
    return root


def _make(plain: Path, root: Path) -> None:
    staging = root.with_name(f"{root.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    _run("cp", "--archive", "--link", str(plain), str(staging))
    with tempfile.TemporaryDirectory(dir=root.parent, prefix="kernel-") as folder:
        Path(folder).chmod(0o755)
        depends = subprocess.run(
            ["apt-cache", "depends", KERNEL], check=True, capture_output=True, text=True
        )
        package = next(word for word in depends.stdout.split() if word.startswith("linux-image-6"))
        _run("apt-get", "download", "-q", package, folder=folder)
        unpacked = Path(folder) / "unpacked"
        (deb,) = Path(folder).glob("*.deb")
        _run("dpkg-deb", "--extract", str(deb), str(unpacked))
        (kernel,) = (unpacked / "boot").glob("vmlinuz-*")
        # Not the package's whole tree: its folder /lib would take the place of a link.
        shutil.copy2(kernel, staging / "boot")
        release = kernel.name.removeprefix("vmlinuz-")
        shutil.copytree(unpacked / "lib/modules" / release, staging / "usr/lib/modules" / release)
        _run("depmod", "-b", str(staging), release)
    staging.rename(root)


def _run(*argv: str, folder: str | None = None) -> None:
    subprocess.run(argv, check=True, cwd=folder, stdout=subprocess.DEVNULL)


def is_slow(item: pytest.Item) -> bool:
    """Whether the test boots a machine."""
    return item.get_closest_marker("kvm") is not None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Make the root before the first test, if any needs it."""
    if session.config.option.collectonly:
        return
    if any(
        "machine_root" in getattr(item, "fixturenames", ()) or is_slow(item)
        for item in session.items
    ):
        make_if_missing()


@pytest.fixture(scope="session")
def machine_root() -> Path:
    """The root folder of an IceWM image with a kernel. Read-only: never write into it."""
    return make_if_missing()


@pytest.fixture
async def real_machines(machine_root: Path, guest_folder: Path) -> AsyncIterator[RealGuests]:
    """Guests of QEMU on a bridge of their own that leads nowhere."""
    with place_of_ones_own(PLACES) as place:
        async with guests_at(place, machine_root, guest_folder) as guests:
            # Without KVM, which not every host that runs tests has.
            files = KvmPlace(guest_folder / "kvm", guests.prefix, guests.bridge, Accelerator.TCG)
            guests.driver = KvmDriver(files, SystemClock())
            yield guests
