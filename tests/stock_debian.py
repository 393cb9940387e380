"""Runs tests in a virtual machine with Debian 12's own kernel: `make stock`, as root.

A host may lack what that kernel has: AppArmor, cgroup v2 alone, project quota. The machine is built
with mmdebstrap from the host's package sources, gets a copy of this checkout and of the tests'
image, and is run by QEMU in software, about ten times slower than the host. It is on no network.

    python -m tests.stock_debian [PYTEST ARGUMENT...]
"""

import asyncio
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from qvdnode.host.probes.programs import parse_package_list
from qvdnode.image import builder
from qvdnode.image.core.recipe import Recipe
from tests.fixtures_image import STATE, build_if_missing

CHECKOUT: Final = Path(__file__).parents[1]
MORE_PACKAGES: Final = (
    "apparmor", "dbus", "git", "linux-image-amd64", "make", "systemd-sysv", "udev",
)  # fmt: skip
TESTS: Final = (
    "tests/attacks", "tests/contract", "tests/integration/client/test_sandbox.py",
    "tests/integration/host", "tests/integration/image/test_overlay.py",
    "tests/integration/image/test_session_script.py", "tests/integration/net",
    "tests/integration/vm", "tests/e2e/test_desktop.py",
)  # fmt: skip
DISK: Final = "24G"
MEMORY: Final = "6G"
LIMIT_S: Final = 2 * 60 * 60
SLOWNESS: Final = 45
"""By what a test's own 20 s are multiplied."""
VERDICT: Final = re.compile(r"stock: ended with (\d+)")

FILES: Final = {
    "etc/fstab": "/dev/vda / ext4 defaults,prjquota 0 1\n",
    "etc/hostname": "stock\n",
    "etc/hosts": "127.0.0.1 localhost stock\n",
    "etc/systemd/network/wired.network": (
        "[Match]\nName=en*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n"
    ),
    "etc/systemd/system/stock.service": (
        "[Unit]\nAfter=network.target apparmor.service systemd-networkd.service\n"
        "[Service]\nType=oneshot\nTimeoutStartSec=infinity\nEnvironment=HOME=/root CI=true\n"
        f"Environment=QVDTEST_SLOWNESS={SLOWNESS // 5} QVDNODE_TEST_STATE={STATE}\n"
        "StandardOutput=tty\nStandardError=tty\nTTYPath=/dev/ttyS0\n"
        "ExecStart=/bin/bash /opt/stock.sh\nExecStopPost=/sbin/poweroff\n"
    ),
}
WANTED: Final = {
    "stock.service": "/etc/systemd/system", "systemd-networkd.service": "/lib/systemd/system",
}  # fmt: skip


def script(arguments: list[str]) -> str:
    """What the machine does."""
    # A machine in a machine without KVM would take minutes to boot.
    without = ["-m", "not kvm"]
    words = [".venv/bin/python", "-m", "pytest", "-q", *without, f"--timeout={20 * SLOWNESS}"]
    words += arguments
    return (
        f"cd {shlex.quote(str(CHECKOUT))}\nuname -r; cat /proc/cmdline; .venv/bin/qvdnode doctor\n"
        f'{shlex.join(words)}\necho "stock: ended with $?"\n'
    )


async def build_root(root: Path) -> None:
    """A Debian of the packages that a node and its tests need, and what makes it boot."""
    names = parse_package_list((CHECKOUT / "debian-packages.txt").read_text(encoding="utf-8"))
    packages = tuple(sorted({*names, *MORE_PACKAGES}))
    recipe = Recipe(name="stock", suite="bookworm", packages=packages, locales=(), files={})
    await builder.build(recipe, root, lambda percent, said: print(f"{percent:3} % {said}"))


def furnish(root: Path, arguments: list[str]) -> None:
    """The checkout, the tests' image and the job, put in place."""
    image = build_if_missing()
    for source, target in ((CHECKOUT, CHECKOUT), (image, STATE / "images" / image.name)):
        place = root / target.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        run("cp", "-a", str(source), str(place))
    for path, text in FILES.items():
        (root / path).write_text(text, encoding="utf-8")
    (root / "opt/stock.sh").write_text(script(arguments), encoding="utf-8")
    wants = root / "etc/systemd/system/multi-user.target.wants"
    for unit, folder in WANTED.items():
        (wants / unit).symlink_to(f"{folder}/{unit}")
    # A login prompt would hang up the console that the job writes to.
    (root / "etc/systemd/system/serial-getty@ttyS0.service").symlink_to("/dev/null")
    # The kernel has quota as a module, and wants it before it mounts its root.
    with (root / "etc/initramfs-tools/modules").open("a", encoding="utf-8") as modules:
        modules.write("quota_v2\n")
    run("unshare", "--mount", "--", "sh", "-c",
        'mount -t proc proc "$0/proc" && chroot "$0" update-initramfs -u', str(root))  # fmt: skip


def boot(root: Path, folder: Path) -> int:
    """Run the machine to its end, its console on ours; what pytest ended with."""
    disk = folder / "disk.img"
    run("truncate", "-s", DISK, str(disk))
    run("mke2fs", "-q", "-t", "ext4", "-O", "quota,project", "-E", "quotatype=prjquota",
        "-d", str(root), str(disk))  # fmt: skip
    subprocess.run(["e2fsck", "-fy", disk], check=False, stdout=subprocess.DEVNULL)
    kernel, initrd = (
        str(next((root / "boot").glob(f"{name}-*"))) for name in ("vmlinuz", "initrd.img")
    )
    argv = [
        "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max",
        "-smp", str(os.cpu_count()), "-m", MEMORY, "-kernel", kernel, "-initrd", initrd,
        "-append", "root=/dev/vda rw rootflags=prjquota console=ttyS0 quiet",
        "-drive", f"file={disk},format=raw,if=virtio,cache=unsafe",
        "-netdev", "user,id=wire,restrict=on", "-device", "virtio-net-pci,netdev=wire",
        "-nographic", "-no-reboot",
    ]  # fmt: skip
    code = 1
    with subprocess.Popen(
        ["timeout", str(LIMIT_S), *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        text=True, errors="replace",
    ) as machine:  # fmt: skip
        assert machine.stdout is not None
        for line in machine.stdout:
            print(line, end="", flush=True)
            if told := VERDICT.search(line):
                code = int(told[1])
    return code


def run(*argv: str) -> None:
    """Run a program that must succeed."""
    subprocess.run(argv, check=True)


def main(arguments: list[str]) -> int:
    """Build, boot, and say how it went."""
    if shutil.which("qemu-system-x86_64") is None:
        print("QEMU is missing; run: apt-get install qemu-system-x86")
        return 2
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="stock-") as folder:
        root = Path(folder) / "root"
        asyncio.run(build_root(root))
        furnish(root, arguments or list(TESTS))
        return boot(root, Path(folder))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
