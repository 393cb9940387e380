"""What a machine's QEMU and virtiofsd can reach on the host, and what a bad image does."""

from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.host.cgroups import probe
from qvdnode.model.errors import GuestFailed
from qvdnode.model.guest import GuestRoot, GuestSpec
from qvdnode.vm.core import kvm_argv
from qvdnode.vm.drivers.kvm import KvmDriver
from tests.fixtures_guest import RealGuests

pytestmark = [pytest.mark.kvm, pytest.mark.timeout(240)]

SESSION_SCRIPT = "usr/lib/qvd/session"
SCRIPT = """#!/bin/sh
exec >/run/qvd/told 2>&1
id -u; hostname
touch /root/made /home/alice/made /run/qvd/made
cat /proc/sys/kernel/threads-max
cat /run/qvd/params
exit 7
"""


def status(pid: int) -> dict[str, str]:
    """The lines of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def files_of(pid: int) -> set[str]:
    """What the process has open, by kind or path."""
    return {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}


async def pids(guests: RealGuests, spec: GuestSpec) -> tuple[int, int]:
    """Of QEMU and of virtiofsd."""
    process = await guests.driver.find(spec)
    assert process is not None
    (share, *_) = sorted(probe().processes(f"{guests.prefix}machines/share-{spec.name}"))
    return process.pid, share


def require_no_rights(pid: int, spec: GuestSpec) -> None:
    """QEMU is nobody, under its own filter of system calls."""
    facts = status(pid)
    assert facts["Uid"].split() == [str(kvm_argv.machine_uid(spec))] * 4
    assert facts["Groups"] == ""
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"] == "2"
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(facts[kind], 16) == 0


def require_few_files(pid: int, console: Path) -> None:
    """QEMU has nothing open but what it was given, and its own memory."""
    opened = {name for name in files_of(pid) if name.startswith("/")}
    assert "/dev/net/tun" in opened
    own = {name for name in opened if name.startswith("/memfd:")}
    assert opened - own <= {"/dev/net/tun", "/dev/null", str(console)}


def require_own_namespace(pid: int, spec: GuestSpec) -> None:
    """virtiofsd is root of this guest's ids, and sees no mount but the guest's."""
    facts = status(pid)
    assert facts["Uid"].split() == [str(spec.ids.start)] * 4
    assert facts["Seccomp"] == "2"
    seen = {line.split()[4] for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()}
    assert seen == {"/", "/run/qvd", f"/home/{spec.account}"}


async def test_a_machine_has_nothing_of_the_host_but_what_was_handed_over(
    real_machines: RealGuests,
) -> None:
    driver = real_machines.driver
    assert isinstance(driver, KvmDriver)
    spec = await real_machines.spec(1)
    script = spec.root.root / SESSION_SCRIPT
    script.unlink()
    script.write_text(SCRIPT)
    script.chmod(0o755)
    await driver.launch(spec)
    qemu, share = await pids(real_machines, spec)
    require_no_rights(qemu, spec)
    require_few_files(qemu, driver.place.folder / f"{spec.name}.console")
    require_own_namespace(share, spec)

    for word in (b"WORD=6f6c64\n", b"WORD=6e6577\n"):
        # The second is read although the first was looked at a moment ago.
        real_machines.run_folders.write_params(spec.vm_id, word)
        assert await driver.run_session(spec, "anything", limit_s=90) == 7
        assert (spec.run_folder / "told").read_bytes().endswith(word)
    told = (spec.run_folder / "told").read_text().splitlines()
    assert told[:2] == ["0", spec.hostname]
    assert int(told[2]) == spec.pids_max + kvm_argv.TASKS_OF_KERNEL
    for made in (spec.root.root / "root/made", spec.root.home / "made", spec.run_folder / "made"):
        assert made.stat().st_uid == spec.ids.start

    # Another process of the node finds it by its spec alone, and may ask and end it.
    again = KvmDriver(driver.place, driver.clock)
    assert await again.find(spec) == await driver.find(spec)
    driver.forget(spec.name)
    assert await again.run_session(spec, "anything", limit_s=90) == 7
    await again.kill(spec)
    await require_nothing_left(real_machines, spec)


async def require_nothing_left(guests: RealGuests, spec: GuestSpec) -> None:
    """No process, file, link or group of that guest."""
    assert await guests.driver.find(spec) is None
    assert not list((guests.folder / "kvm").glob(f"{spec.name}*"))
    assert not Path(f"/sys/class/net/{spec.port.link}").exists()
    for group in (spec.name, f"share-{spec.name}"):
        assert not probe().exists(f"{guests.prefix}machines/{group}")


async def failing(guests: RealGuests, spec: GuestSpec, match: str) -> None:
    """A start that fails with that, and leaves nothing."""
    with pytest.raises(GuestFailed, match=match):
        await guests.driver.launch(spec)
    await require_nothing_left(guests, spec)


async def test_an_image_without_a_kernel_is_refused(real_machines: RealGuests) -> None:
    spec = await real_machines.spec(1)
    for kernel in (spec.root.root / "boot").glob("vmlinuz-*"):
        kernel.unlink()
    await failing(real_machines, spec, "--add kernel")


async def test_a_kernel_that_is_none_is_refused_with_what_qemu_says(
    real_machines: RealGuests,
) -> None:
    spec = await real_machines.spec(1)
    (kernel,) = (spec.root.root / "boot").glob("vmlinuz-*")
    kernel.write_bytes(b"")
    await failing(real_machines, spec, "The machine did not start: .*kernel")


async def test_a_home_that_is_not_there_is_refused(real_machines: RealGuests) -> None:
    spec = await real_machines.spec(1)
    gone = replace(spec, root=GuestRoot(spec.root.root, real_machines.folder / "nowhere"))
    await failing(real_machines, gone, "The machine did not start: .*nowhere")
