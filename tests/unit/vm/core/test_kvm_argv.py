from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.model.guest import GuestRoot, GuestSpec
from qvdnode.vm.core import kvm_argv
from qvdnode.vm.core.kvm_argv import Accelerator, Handles, Machine
from tests.unit.vm.core.test_lxc_config import SPEC

GOLDEN = Path(__file__).parent / "golden"
TCG = Machine("/boot/x.kernel", "/boot/x.initramfs", Accelerator.TCG, cpus=4)
HANDLES = Handles(tap=11, share=12, agent=13, qmp=14, terminal=15, log=16)


def test_the_whole_command_line_of_a_machine() -> None:
    lines = "\n".join(kvm_argv.qemu_argv(SPEC, TCG, HANDLES)) + "\n"
    assert lines == (GOLDEN / "machine.argv").read_text()


def test_the_whole_command_line_of_its_files() -> None:
    argv = kvm_argv.share_argv(SPEC, "/var/lib/qvdnode/kvm/qvd-7.shared", 8, 9)
    shown = [word if word != kvm_argv.SHARE_SCRIPT else "SCRIPT" for word in argv]
    assert "\n".join(shown) + "\n" == (GOLDEN / "machine-files.argv").read_text()


def test_with_kvm_it_is_in_the_group_that_may_use_the_device() -> None:
    argv = kvm_argv.qemu_argv(
        SPEC, replace(TCG, accelerator=Accelerator.KVM, kvm_group=104), HANDLES
    )
    assert "--groups=104" in argv
    assert argv[argv.index("-accel") + 1] == "kvm"
    assert argv[argv.index("-cpu") + 1] == "host"


@pytest.mark.parametrize(("cpu_pct", "cpus"), [(10, 1), (100, 1), (101, 2), (400, 4), (900, 4)])
def test_it_has_as_many_processors_as_it_may_use_and_no_more_than_the_host(
    cpu_pct: int, cpus: int
) -> None:
    argv = kvm_argv.qemu_argv(replace(SPEC, cpu_pct=cpu_pct), TCG, HANDLES)
    assert argv[argv.index("-smp") + 1] == str(cpus)


def test_each_guest_has_a_qemu_of_its_own_uid() -> None:
    other = replace(SPEC, ids=replace(SPEC.ids, start=SPEC.ids.start + SPEC.ids.count))
    assert kvm_argv.machine_uid(SPEC) != kvm_argv.machine_uid(other)
    assert SPEC.ids.start < kvm_argv.machine_uid(SPEC) < other.ids.start


def test_the_limit_of_its_group_leaves_room_for_qemu() -> None:
    kvm = kvm_argv.memory_limit_mib(SPEC, Accelerator.KVM)
    assert SPEC.memory_mib < kvm < kvm_argv.memory_limit_mib(SPEC, Accelerator.TCG)


@pytest.mark.parametrize(
    "spec",
    [
        replace(SPEC, name="a,b"),
        replace(SPEC, hostname="a b"),
        replace(SPEC, account="x;reboot"),
        replace(SPEC, root=GuestRoot(Path("/a b"), Path("/h"))),
        replace(SPEC, run_folder=Path("/r,n")),
    ],
)
def test_what_would_be_read_as_syntax_is_refused(spec: GuestSpec) -> None:
    with pytest.raises(ValueError, match="command line"):
        kvm_argv.qemu_argv(spec, TCG, HANDLES)
    with pytest.raises(ValueError, match="command line"):
        kvm_argv.share_argv(spec, "/x", 8, 9)


def test_a_kernel_is_tried_without_any_device() -> None:
    argv = kvm_argv.probe_argv(TCG, 65_534)
    assert "-device" not in argv
    assert argv[argv.index("-append") + 1].endswith("qvd.probe=1")
