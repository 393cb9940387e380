import subprocess
from pathlib import Path

import pytest

from qvdnode.vm.core.initramfs import (
    MODULES_MAX,
    WANTED,
    Entry,
    NoModule,
    archive,
    load_order,
    module_name,
    pack,
)

# Of Debian's cloud kernel 6.1, cut short.
VIRTIO = "kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko"
DEPENDENCIES = f"""\
kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio_pci_legacy_dev.ko {VIRTIO}
kernel/drivers/virtio/virtio_pci_legacy_dev.ko:
kernel/fs/fuse/fuse.ko:
kernel/fs/fuse/virtiofs.ko: {VIRTIO} kernel/fs/fuse/fuse.ko
kernel/drivers/char/virtio_console.ko: {VIRTIO}
kernel/drivers/char/hw_random/virtio-rng.ko: {VIRTIO}
kernel/drivers/net/virtio_net.ko: {VIRTIO}
kernel/drivers/net/other.ko:
"""


def test_each_module_is_loaded_after_those_that_it_needs() -> None:
    order = load_order(DEPENDENCIES, "")
    needs = {
        line.partition(":")[0]: line.partition(":")[2].split() for line in DEPENDENCIES.splitlines()
    }
    for place, path in enumerate(order):
        assert set(needs[path]) <= set(order[:place])
    assert {module_name(path) for path in order} >= set(WANTED)
    assert "kernel/drivers/net/other.ko" not in order
    assert len(set(order)) == len(order)


def test_lines_that_name_no_module_are_left_out() -> None:
    assert load_order(f"\nno module\n{DEPENDENCIES}", "") == load_order(DEPENDENCIES, "")


def test_a_module_may_be_built_in() -> None:
    text = "\n".join(line for line in DEPENDENCIES.splitlines() if "virtio_net" not in line)
    assert len(load_order(text, "kernel/drivers/net/virtio_net.ko\n")) == 9 - 1


def test_a_machine_does_without_what_is_only_welcome() -> None:
    text = "\n".join(line for line in DEPENDENCIES.splitlines() if "virtio-rng" not in line)
    assert {module_name(path) for path in load_order(text, "")} >= set(WANTED)


def test_a_kernel_without_a_needed_module_is_refused() -> None:
    with pytest.raises(NoModule, match="virtio_pci"):
        load_order("", "")


def test_names_do_not_depend_on_the_packing() -> None:
    for path in ("a/virtio-rng.ko", "virtio_rng.ko.xz", "b/c/virtio-rng.ko.zst"):
        assert module_name(path) == "virtio_rng"


def test_the_archive_is_one_that_cpio_unpacks(tmp_path: Path) -> None:
    made = archive({"init": b"#!/bin/sh\n"}, {"kernel/a.ko": b"A", "b.ko": b"BB"}, {"agent": b"x"})
    listing = subprocess.run(
        ["/usr/bin/cpio", "--quiet", "--extract", "--verbose", "--no-absolute-filenames"],
        input=made, cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    assert b"modules/a.ko" in listing.stderr
    assert (tmp_path / "init").read_bytes() == b"#!/bin/sh\n"
    assert (tmp_path / "init").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "modules/order").read_text() == "a.ko\nb.ko\n"
    assert (tmp_path / "modules/b.ko").read_bytes() == b"BB"
    assert (tmp_path / "agent").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "new").is_dir()


def test_the_same_entries_give_the_same_bytes() -> None:
    entries = [Entry("a", 0o100644, b"1"), Entry("b", 0o040755)]
    assert pack(entries) == pack(entries)
    assert len(pack(entries)) % 4 == 0


def test_a_list_of_modules_without_end_is_refused() -> None:
    many = " ".join(f"kernel/{number}.ko" for number in range(MODULES_MAX + 1))
    text = DEPENDENCIES.replace("kernel/drivers/net/virtio_net.ko:", f"x/virtio_net.ko: {many}")
    with pytest.raises(NoModule, match=f"over {MODULES_MAX}"):
        load_order(text, "")
