"""A guest's spec as the command lines of QEMU and of virtiofsd, and of its kernel. Pure.

Why each part is as it is stands beside it, since these lines confine the guest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from qvdnode.model.guest import GuestSpec
from qvdnode.vm.core.lxc_config import PLAIN_NAME, PLAIN_PATH

QEMU: Final = "/usr/bin/qemu-system-x86_64"
VIRTIOFSD: Final = "/usr/lib/qemu/virtiofsd"
TAG: Final = "desk"
"""Of the file system that has the guest's root, home and run folder."""
BALLOON: Final = "balloon"
PORT: Final = "qvd"
"""Of the agent's port; see kvm_guest/agent."""
MACHINE: Final = "q35,usb=off,smbus=off,sata=off,vmport=off,hpet=off,graphics=off"
"""microvm has fewer devices still, but Debian's kernel finds no clock in it without KVM."""
SANDBOX: Final = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
TRANSLATED_MIB: Final = 64
"""What QEMU keeps of translated code without KVM: by default a quarter of the host's memory."""
OWN_MIB: Final = 64
"""What QEMU may need beside its guest's memory."""
OWN_UID: Final = 65_530
"""QEMU is that uid of the guest's range: of no file, and of no other guest's QEMU."""
CPUS_MAX: Final = 8
TASKS_OF_KERNEL: Final = 200
"""Threads of a machine's own kernel, which its limit of processes counts, too."""
SHARE_MIB: Final = 192
"""What virtiofsd may need, with the part of its files in memory that cannot be dropped."""
OPEN_FILES: Final = 65_536


class Accelerator(StrEnum):
    """What carries out a guest's instructions."""

    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True, slots=True)
class Machine:
    """How QEMU is to be run, beside what the spec says."""

    kernel: str
    initramfs: str
    accelerator: Accelerator
    cpus: int
    """Of the host."""
    kvm_group: int | None = None
    """The group that may use /dev/kvm."""


@dataclass(frozen=True, slots=True)
class Handles:
    """Descriptors that QEMU inherits; it opens no socket and no network device itself."""

    tap: int
    share: int
    """Connected to virtiofsd."""
    agent: int
    """Listens."""
    qmp: int
    """Listens."""
    terminal: int
    """Listens for who wants to see and use the console."""
    log: int
    """Of the console: a file, open for writing at its end."""


def machine_uid(spec: GuestSpec) -> int:
    """The host's uid for the QEMU of that guest."""
    return spec.ids.start + OWN_UID


def memory_limit_mib(spec: GuestSpec, accelerator: Accelerator) -> int:
    """For the group of QEMU: the guest's memory and its own."""
    translated = TRANSLATED_MIB if accelerator is Accelerator.TCG else 0
    return spec.memory_mib + OWN_MIB + 2 * translated


def require_plain(spec: GuestSpec, *more_paths: str) -> None:
    """Raise ValueError on a name or path that a command line would read as syntax."""
    for name in (spec.name, spec.hostname, spec.account):
        if PLAIN_NAME.match(name) is None:
            raise ValueError(f"{name!r} cannot stand in a machine's command line")
    folders = (spec.root.root, spec.root.home, spec.run_folder)
    for path in (*folders, *more_paths):
        if PLAIN_PATH.match(str(path)) is None:
            raise ValueError(f"{str(path)!r} cannot stand in a machine's command line")


def kernel_line(spec: GuestSpec) -> str:
    """What the node tells the kernel, and through it kvm_guest/init."""
    words = {
        "host": spec.hostname,
        "address": str(spec.port.address.ip),
        "gateway": str(spec.port.gateway),
        "scratch": str(max(16, spec.memory_mib // 2)),
        "tasks": str(spec.pids_max + TASKS_OF_KERNEL),
    }
    # A panic restarts the machine at once, and -no-reboot makes that its end.
    # The watchdog of the machine is an interrupt that the kernel knows no source of.
    first = "console=ttyS0 quiet panic=-1 reboot=t oops=panic unknown_nmi_panic"
    return " ".join((first, *(f"qvd.{name}={value}" for name, value in words.items())))


def qemu_argv(spec: GuestSpec, machine: Machine, handles: Handles) -> list[str]:
    """QEMU as a uid without rights; raises ValueError, as require_plain does."""
    require_plain(spec, machine.kernel, machine.initramfs)
    cpus = max(1, min(-(-spec.cpu_pct // 100), machine.cpus, CPUS_MAX))
    return [
        *_as_nobody(machine_uid(spec), machine.kvm_group),
        *_bare(machine),
        "-S",  # until the node says so (cont)
        "-name", spec.name,
        "-smp", str(cpus),
        "-m", str(spec.memory_mib),
        # virtiofsd reads and writes the guest's memory, so both have it open.
        "-object", f"memory-backend-memfd,id=memory,size={spec.memory_mib}M,share=on",
        "-machine", "memory-backend=memory",
        "-append", kernel_line(spec),
        *_devices(spec, handles),
    ]  # fmt: skip


def probe_argv(machine: Machine, uid: int) -> list[str]:
    """A machine without any device that only boots the kernel and ends."""
    return [
        *_as_nobody(uid, machine.kvm_group),
        *_bare(machine),
        "-m", "256",
        "-append", "console=ttyS0 quiet panic=-1 reboot=t qvd.probe=1",
        "-chardev", "stdio,id=console,signal=off",
        "-serial", "chardev:console",
    ]  # fmt: skip


def _as_nobody(uid: int, group: int | None) -> Iterator[str]:
    yield from ("setpriv", f"--reuid={uid}", f"--regid={uid}")
    yield "--clear-groups" if group is None else f"--groups={group}"
    yield from ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--")


def _bare(machine: Machine) -> Iterator[str]:
    yield QEMU
    yield from ("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none")
    yield from ("-sandbox", SANDBOX)
    yield from ("-machine", MACHINE)
    if machine.accelerator is Accelerator.KVM:
        yield from ("-accel", "kvm", "-cpu", "host")
    else:
        yield from ("-accel", f"tcg,thread=multi,tb-size={TRANSLATED_MIB}", "-cpu", "max")
    yield from ("-kernel", machine.kernel, "-initrd", machine.initramfs)


def _devices(spec: GuestSpec, handles: Handles) -> Iterator[str]:
    yield from ("-chardev", f"socket,id=share,fd={handles.share}")
    yield from ("-device", f"vhost-user-fs-pci,chardev=share,tag={TAG}")
    yield from ("-netdev", f"tap,id=net,fd={handles.tap}")
    # Without a ROM to boot from, which QEMU would load from a file.
    yield from ("-device", f"virtio-net-pci,netdev=net,mac={spec.port.mac},romfile=")
    yield from ("-device", "virtio-serial-pci,max_ports=2")
    yield from ("-chardev", f"socket,id=agent,fd={handles.agent},server=on,wait=off")
    yield from ("-device", f"virtserialport,chardev=agent,name={PORT}")
    yield from ("-device", "virtio-rng-pci")
    # What the machine frees goes back to the host, within seconds. What the node takes beyond that
    # is given back before a program in the guest would have to end.
    yield from (
        "-device", f"virtio-balloon-pci,id={BALLOON},deflate-on-oom=on,free-page-reporting=on",
    )  # fmt: skip
    # By the first the kernel says that it panics, whatever its console shows. The second, which
    # init feeds where the kernel has a driver for it, makes a kernel that hangs panic.
    yield from ("-device", "pvpanic-pci", "-device", "i6300esb", "-action", "watchdog=inject-nmi")
    # QEMU writes to the log of the console why it ends its machine: machine_console.py.
    yield from ("-trace", "qemu_system_shutdown_request")
    # All that the console shows is logged, whether or not somebody sees it.
    yield from ("-add-fd", f"fd={handles.log},set=1")
    terminal = f"socket,id=console,fd={handles.terminal},server=on,wait=off"
    yield from ("-chardev", f"{terminal},logfile=/dev/fdset/1,logappend=on")
    yield from ("-serial", "chardev:console")
    yield from ("-chardev", f"socket,id=qmp,fd={handles.qmp},server=on,wait=off")
    yield from ("-mon", "chardev=qmp,mode=control")


SHARE_SCRIPT: Final = """\
set -e
place=$1 root=$2 home=$3 run=$4 account=$5
shift 5
mount -t tmpfs -o mode=755,size=64k,nosuid share "$place"
cd "$place"
mkdir usr proc desk old
ln -s usr/lib usr/lib64 usr/bin .
mount --bind /usr usr
mount -o remount,bind,ro,nosuid,nodev usr
mount --bind /proc proc
mount --bind "$root" desk
mount --bind "$run" desk/run/qvd
mount --bind "$home" "desk/home/$account"
pivot_root . old
cd /
umount -l old
exec "$@"
"""
"""In a mount namespace of its own: virtiofsd sees its own program and one guest's files, no more.

Were the host's other mounts in that namespace too, those of other guests would last as long as it.
"""


def share_argv(spec: GuestSpec, place: str, namespace: int, listening: int) -> list[str]:
    """virtiofsd as the root of the guest's user namespace; raises ValueError.

    What it can do to files is what the guest's root in a container could do. `place` is an empty
    folder, `namespace` and `listening` are descriptors that it inherits.
    """
    require_plain(spec, place)
    options = ",".join(
        (
            f"source=/{TAG}", "sandbox=chroot", "cache=auto", "announce_submounts", "xattr",
            "no_posix_lock", "no_flock",
        )
    )  # fmt: skip
    return [
        "unshare", "--mount", "--propagation=private", "--",
        "sh", "-c", SHARE_SCRIPT, "sh", place, str(spec.root.root), str(spec.root.home),
        str(spec.run_folder), spec.account,
        "nsenter", f"--user=/proc/self/fd/{namespace}", "-S", "0", "-G", "0", "--",
        VIRTIOFSD, f"--fd={listening}", f"--rlimit-nofile={OPEN_FILES}", "-o", options,
    ]  # fmt: skip
