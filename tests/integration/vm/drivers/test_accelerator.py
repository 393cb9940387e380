import asyncio
import json
from pathlib import Path

import pytest

from qvdnode.host.boot import boot_id
from qvdnode.vm.core.kvm_argv import Accelerator
from qvdnode.vm.drivers import accelerator
from qvdnode.vm.drivers.accelerator import KEPT, AcceleratorProbe
from qvdnode.vm.drivers.machine_boot import BootFiles

FILES = BootFiles(Path("/nonexistent/kernel"), Path("/nonexistent/initramfs"), "digest")


async def test_without_the_device_it_is_software_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerator, "KVM", tmp_path / "none")
    probe = AcceleratorProbe(tmp_path, None)
    assert await probe.get(FILES) is Accelerator.TCG
    warning, fix = probe.warning()
    assert "no /dev/kvm" in warning
    assert "virtualisation" in fix


async def test_a_kernel_that_does_not_boot_with_kvm_is_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # There is a device, and QEMU ends at once, since there is no such kernel.
    monkeypatch.setattr(accelerator, "KVM", Path("/dev/null"))
    probe = AcceleratorProbe(tmp_path, None)
    assert probe.warning() == ("", "")
    assert set(await asyncio.gather(probe.get(FILES), probe.get(FILES))) == {Accelerator.TCG}
    assert "no kernel boots" in probe.warning()[0]
    assert json.loads((tmp_path / KEPT).read_text()) == {"boot": boot_id(), "accelerator": "tcg"}


async def test_what_was_found_is_known_until_the_host_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerator, "KVM", tmp_path / "none")
    kept = tmp_path / KEPT
    kept.write_text(json.dumps({"boot": boot_id(), "accelerator": "kvm"}))
    assert await AcceleratorProbe(tmp_path, None).get(FILES) is Accelerator.KVM
    for stale in (json.dumps({"boot": "another", "accelerator": "kvm"}), "[]", "{", "", "null"):
        kept.write_text(stale)
        assert await AcceleratorProbe(tmp_path, None).get(FILES) is Accelerator.TCG


async def test_an_operators_choice_is_not_questioned(tmp_path: Path) -> None:
    assert await AcceleratorProbe(tmp_path, Accelerator.KVM).get(FILES) is Accelerator.KVM
    assert not (tmp_path / KEPT).exists()
