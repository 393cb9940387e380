"""Takes a kernel out of a guest's root, and makes the initramfs that goes with it; both are kept.

The root's files are others': no link in it leads out of it, nothing but plain files of a bounded
size is read. All of this blocks.
"""

import gzip
import hashlib
import lzma
import os
import re
import stat
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from qvdnode.host import linux_calls
from qvdnode.model.errors import GuestFailed, HostFailed
from qvdnode.vm.core import initramfs, kvm_argv
from qvdnode.vm.core.initramfs import NoModule

BUSYBOX: Final = Path("/bin/busybox")
SCRIPTS: Final = Path(kvm_argv.__file__).with_name("kvm_guest")
FILE_MAX: Final = 64 * 1024 * 1024
UNPACKED_MAX: Final = 32 * 1024 * 1024
"""Bytes of all modules together; Debian's kernels have about one MiB of them."""
KERNELS_KEPT: Final = 8
_RELEASE: Final = re.compile(r"vmlinuz-([0-9][A-Za-z0-9.+~_-]{0,127})\Z")
_NUMBERS: Final = re.compile(r"\d+")
_LOOK: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_GZIP: Final = 31
"""zlib's number for data with gzip's header."""
NO_KERNEL: Final = (
    "The image has no kernel, which a machine of its own needs: build it with --add kernel, or"
    " install linux-image-cloud-amd64 in it and import it again. Or choose a flavour with another"
    " driver."
)


@dataclass(frozen=True, slots=True)
class BootFiles:
    """What QEMU boots, readable by it, and the name of both together."""

    kernel: Path
    initramfs: Path
    digest: str


def prepare(root: Path, folder: Path) -> BootFiles:
    """The boot files of that root, in `folder`, made if there are none of that kernel yet.

    Raises GuestFailed when the root has no kernel that fits, HostFailed.
    """
    try:
        with _Root(root) as guest:
            release = guest.newest_kernel()
            kernel = guest.read(f"boot/vmlinuz-{release}")
            lists = (
                guest.read(f"lib/modules/{release}/modules.dep"),
                guest.read(f"lib/modules/{release}/modules.builtin"),
            )
            digest = _digest(kernel, *lists, *_own_files().values(), _busybox())
            made = BootFiles(folder / f"{digest}.kernel", folder / f"{digest}.initramfs", digest)
            if not made.initramfs.exists():
                _put(made, kernel, _archive(guest, release, *lists))
    except (NoModule, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise GuestFailed(f"The image's kernel cannot be used: {error}.", step="launch") from error
    except OSError as error:
        raise HostFailed(f"the boot files cannot be made: {error}") from error
    os.utime(made.initramfs)
    _drop_old(folder)
    return made


def _of_xz(content: bytes, most: int) -> tuple[bytes, bool]:
    """At most so many bytes of what is packed, and whether that is all."""
    unpacker = lzma.LZMADecompressor(memlimit=2 * FILE_MAX)
    return unpacker.decompress(content, most), unpacker.eof


def _of_gzip(content: bytes, most: int) -> tuple[bytes, bool]:
    unpacker = zlib.decompressobj(_GZIP)
    return unpacker.decompress(content, most), unpacker.eof


_UNPACK: Final[Mapping[str, Callable[[bytes, int], tuple[bytes, bool]]]] = MappingProxyType(
    {".xz": _of_xz, ".gz": _of_gzip}
)


class _Root:
    """The root of a guest, held open."""

    def __init__(self, root: Path) -> None:
        self._handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> "_Root":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def newest_kernel(self) -> str:
        """The newest kernel that has its modules; raises GuestFailed when there is none."""
        try:
            boot = linux_calls.open_in_root(self._handle, "boot", _LOOK | os.O_DIRECTORY)
        except FileNotFoundError as error:
            raise GuestFailed(NO_KERNEL, step="launch") from error
        try:
            with os.scandir(boot) as entries:
                found = [match[1] for entry in entries if (match := _RELEASE.match(entry.name))]
        finally:
            os.close(boot)
        whole = [name for name in found if self._has(f"lib/modules/{name}/modules.dep")]
        if not whole:
            raise GuestFailed(NO_KERNEL, step="launch")
        return max(whole, key=lambda name: [int(part) for part in _NUMBERS.findall(name)])

    def read(self, path: str) -> bytes:
        """A plain file; raises OSError, ValueError for one that is none or is too big."""
        handle = linux_calls.open_in_root(self._handle, path, _LOOK)
        with os.fdopen(handle, "rb") as file:
            facts = os.fstat(handle)
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > FILE_MAX:
                raise ValueError(f"/{path} is not a file, or too big")
            return file.read(FILE_MAX)

    def _has(self, path: str) -> bool:
        try:
            os.close(linux_calls.open_in_root(self._handle, path, _LOOK))
        except OSError:
            return False
        return True


def _archive(guest: _Root, release: str, dependencies: bytes, built_in: bytes) -> bytes:
    order = initramfs.load_order(dependencies.decode(), built_in.decode())
    modules: dict[str, bytes] = {}
    left = UNPACKED_MAX
    for path in order:
        content = guest.read(f"lib/modules/{release}/{path}")
        name, dot, packing = path.rpartition(".ko")
        if packing and packing not in _UNPACK:
            raise ValueError(f"its modules are packed as {packing}, which is not known")
        module = _unpacked(content, packing, left) if packing else content
        left -= len(module)
        if left < 0:
            raise ValueError(f"its modules unpack to more than {UNPACKED_MAX} bytes")
        modules[f"{name}{dot}"] = module
    own = _own_files()
    programs = {"bin/busybox": _busybox(), "init": own["init"]}
    packed = initramfs.archive(programs, modules, {"agent": own["agent"]})
    return gzip.compress(packed, compresslevel=1, mtime=0)


def _unpacked(content: bytes, packing: str, most: int) -> bytes:
    """What is packed, or `most` bytes and one: a few KiB may unpack to more than a host has."""
    module, is_whole = _UNPACK[packing](content, most + 1)
    if len(module) <= most and not is_whole:
        raise ValueError("a module is cut off")
    return module


def _own_files() -> dict[str, bytes]:
    return {name: (SCRIPTS / name).read_bytes() for name in ("init", "agent")}


def _busybox() -> bytes:
    return BUSYBOX.read_bytes()


def _digest(*parts: bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:32]


def _put(made: BootFiles, kernel: bytes, archive: bytes) -> None:
    made.kernel.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    for path, content in ((made.kernel, kernel), (made.initramfs, archive)):
        staging = path.with_suffix(f".{os.getpid()}.new")
        staging.write_bytes(content)
        staging.chmod(0o644)  # QEMU is nobody on the host
        staging.replace(path)


def _drop_old(folder: Path) -> None:
    """Machines that run have read their files, so those of any kernel can be dropped."""
    newest_first = sorted(
        folder.glob("*.initramfs"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    for path in newest_first[KERNELS_KEPT:]:
        path.with_suffix(".kernel").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
