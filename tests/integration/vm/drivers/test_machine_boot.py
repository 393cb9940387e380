"""Kernels out of roots that somebody else made."""

import gzip
import lzma
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from qvdnode.model.errors import GuestFailed, HostFailed
from qvdnode.vm.core.initramfs import WANTED
from qvdnode.vm.drivers import machine_boot
from qvdnode.vm.drivers.machine_boot import prepare


def give_kernel(root: Path, release: str, content: bytes = b"kernel", suffix: str = ".ko") -> None:
    """Put a kernel and its modules into a root."""
    modules = root / "usr/lib/modules" / release
    (modules / "kernel").mkdir(parents=True)
    (root / "boot").mkdir(exist_ok=True)
    if not (root / "lib").is_symlink():
        (root / "lib").symlink_to("usr/lib")
    (root / f"boot/vmlinuz-{release}").write_bytes(content)
    names = [f"kernel/{name}{suffix}" for name in WANTED]
    (modules / "modules.dep").write_text("".join(f"{name}:\n" for name in names))
    (modules / "modules.builtin").write_text("")
    for name in names:
        packed = lzma.compress(b"module") if suffix.endswith("xz") else b"module"
        (modules / name).write_bytes(packed)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty root."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def test_the_newest_kernel_is_taken_by_the_numbers_of_its_release(
    root: Path, tmp_path: Path
) -> None:
    for release in ("6.1.0-9-amd64", "6.1.0-57-amd64", "5.10.0-99-amd64"):
        give_kernel(root, release, release.encode())
    made = prepare(root, tmp_path / "boot")
    assert made.kernel.read_bytes() == b"6.1.0-57-amd64"
    assert made.kernel.stat().st_mode & 0o777 == 0o644
    assert b"TRAILER!!!" in gzip.decompress(made.initramfs.read_bytes())


def test_boot_files_are_made_once_and_again_for_another_kernel(root: Path, tmp_path: Path) -> None:
    give_kernel(root, "6.1.0-1-amd64")
    first = prepare(root, tmp_path / "boot")
    before = first.initramfs.stat().st_ino
    assert prepare(root, tmp_path / "boot") == first
    assert first.initramfs.stat().st_ino == before
    give_kernel(root, "6.1.0-2-amd64", b"another")
    assert prepare(root, tmp_path / "boot").digest != first.digest


def test_few_kernels_are_kept(root: Path, tmp_path: Path) -> None:
    for number in range(machine_boot.KERNELS_KEPT + 2):
        give_kernel(root, f"6.1.0-{number}-amd64", str(number).encode())
        prepare(root, tmp_path / "boot")
    for suffix in ("kernel", "initramfs"):
        assert len(list((tmp_path / "boot").glob(f"*.{suffix}"))) == machine_boot.KERNELS_KEPT


def test_modules_may_be_packed(root: Path, tmp_path: Path) -> None:
    give_kernel(root, "6.12.1-amd64", suffix=".ko.xz")
    packed = gzip.decompress(prepare(root, tmp_path / "boot").initramfs.read_bytes())
    assert packed.count(b"module") > len(WANTED)
    assert b".ko.xz" not in packed


@pytest.mark.parametrize("what", ["no boot", "no vmlinuz", "no modules"])
def test_an_image_without_a_kernel_is_refused_with_what_to_do(
    root: Path, tmp_path: Path, what: str
) -> None:
    if what != "no boot":
        (root / "boot").mkdir()
    if what == "no modules":
        (root / "boot/vmlinuz-6.1.0-1-amd64").write_bytes(b"kernel")
    with pytest.raises(GuestFailed, match="--add kernel"):
        prepare(root, tmp_path / "boot")


def test_a_kernel_without_what_machines_need_is_refused(root: Path, tmp_path: Path) -> None:
    give_kernel(root, "6.1.0-1-amd64")
    (root / "usr/lib/modules/6.1.0-1-amd64/modules.dep").write_text("kernel/x.ko:\n")
    with pytest.raises(GuestFailed, match="no module virtio_pci"):
        prepare(root, tmp_path / "boot")


def test_modules_in_an_unknown_packing_are_refused(root: Path, tmp_path: Path) -> None:
    give_kernel(root, "6.1.0-1-amd64", suffix=".ko.zst")
    with pytest.raises(GuestFailed, match="zst"):
        prepare(root, tmp_path / "boot")


def test_no_link_leads_out_of_the_root(root: Path, tmp_path: Path) -> None:
    give_kernel(root, "6.1.0-1-amd64")
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    kernel = root / "boot/vmlinuz-6.1.0-1-amd64"
    kernel.unlink()
    kernel.symlink_to(secret)
    with pytest.raises(HostFailed, match="boot files"):
        prepare(root, tmp_path / "boot")
    assert not list(tmp_path.glob("boot/*"))


def test_a_kernel_that_is_a_pipe_does_not_hang_the_node(root: Path, tmp_path: Path) -> None:
    give_kernel(root, "6.1.0-1-amd64")
    kernel = root / "boot/vmlinuz-6.1.0-1-amd64"
    kernel.unlink()
    os.mkfifo(kernel)
    with pytest.raises(GuestFailed, match="is not a file"):
        prepare(root, tmp_path / "boot")


@pytest.mark.parametrize(("suffix", "pack"), [(".ko.xz", lzma.compress), (".ko.gz", gzip.compress)])
def test_a_module_that_unpacks_to_more_than_a_node_has_memory_is_refused(
    root: Path, tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    give_kernel(root, "6.1.0-1-amd64", suffix=suffix)
    piece = pack(bytes(2 * machine_boot.UNPACKED_MAX))
    for path in (root / "usr/lib/modules/6.1.0-1-amd64/kernel").iterdir():
        path.write_bytes(piece)
    tracemalloc.start()
    try:
        with pytest.raises(GuestFailed, match="unpack to more than"):
            prepare(root, tmp_path / "boot")
        assert tracemalloc.get_traced_memory()[1] < 3 * machine_boot.UNPACKED_MAX
    finally:
        tracemalloc.stop()
    assert not list(tmp_path.glob("boot/*"))


def test_a_module_that_is_cut_off_is_refused(root: Path, tmp_path: Path) -> None:
    for number, suffix in enumerate((".ko.xz", ".ko.gz")):
        release = f"6.1.0-{number}-amd64"
        give_kernel(root, release, suffix=suffix)
        packed = lzma.compress(b"module" * 99) if number == 0 else gzip.compress(b"module" * 99)
        for path in (root / f"usr/lib/modules/{release}/kernel").iterdir():
            path.write_bytes(packed[:-9])
        with pytest.raises(GuestFailed, match="cut off"):
            prepare(root, tmp_path / "boot")


def test_modules_without_end_are_refused(root: Path, tmp_path: Path) -> None:
    give_kernel(root, "6.1.0-1-amd64")
    modules = root / "usr/lib/modules/6.1.0-1-amd64"
    for path in (modules / "kernel").iterdir():
        path.write_bytes(bytes(machine_boot.UNPACKED_MAX // 2))
    with pytest.raises(GuestFailed, match="unpack to more than"):
        prepare(root, tmp_path / "boot")
