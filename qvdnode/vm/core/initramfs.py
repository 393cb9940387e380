"""The first file system of a machine, as the bytes of a cpio archive. Pure.

It holds a shell (busybox), our own two scripts, and the modules of the kernel that the guest needs
to see its devices, in the order in which they can be loaded.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

WANTED: Final = ("virtio_pci", "virtiofs", "virtio_console", "virtio_net")
"""Modules, by their names in a modules.dep; a kernel may have some of them built in."""
WELCOME: Final = ("virtio_rng", "virtio_balloon", "pvpanic_pci", "i6300esb")
"""Those without which a machine runs, but has less randomness, keeps memory that it has freed, may
end without a word when its kernel panics, or stays when it hangs. Debian's kernel for clouds has no
i6300esb.
"""
MODULES_MAX: Final = 256
"""To load; Debian's kernels have about ten of them."""
FOLDERS: Final = ("bin", "modules", "proc", "dev", "new")
_FOLDER_MODE, _FILE_MODE, _PROGRAM_MODE = 0o040755, 0o100644, 0o100755
_MAGIC: Final = "070701"
_END: Final = "TRAILER!!!"
_ALIGNMENT: Final = 4
SUFFIXES: Final = (".ko", ".ko.xz", ".ko.zst", ".ko.gz")


class NoModule(Exception):
    """The kernel's modules are not those that a machine needs; the message says what lacks."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or a folder of the archive."""

    path: str
    mode: int
    content: bytes = b""


def load_order(dependencies: str, built_in: str) -> list[str]:
    """Which modules to load, each after those that it needs; paths as in the kernel's lists.

    `dependencies` is the text of its modules.dep, `built_in` that of its modules.builtin. Raises
    NoModule when a wanted one is in neither, or when they are too many.
    """
    needs: dict[str, Sequence[str]] = {}
    for line in dependencies.splitlines():
        path, colon, rest = line.partition(":")
        if colon:
            needs[path.strip()] = rest.split()
    paths = {module_name(path): path for path in needs}
    inside = {module_name(path) for path in built_in.split()}
    order: list[str] = []
    for name in (*WANTED, *WELCOME):
        if name not in paths and name not in inside and name in WANTED:
            raise NoModule(f"the kernel has no module {name}")
        if name not in paths:
            continue
        path = paths[name]
        # The list names what a module needs from near to far.
        for one in (*reversed(needs[path]), path):
            if one not in order:
                order.append(one)
            if len(order) > MODULES_MAX:
                raise NoModule(f"{name} needs over {MODULES_MAX} other modules")
    return order


def module_name(path: str) -> str:
    """As the kernel calls it, whatever file it is in."""
    last = path.rpartition("/")[2]
    for suffix in SUFFIXES:
        last = last.removesuffix(suffix)
    return last.replace("-", "_")


def archive(
    programs: Mapping[str, bytes], modules: Mapping[str, bytes], texts: Mapping[str, bytes]
) -> bytes:
    """The whole archive: `programs` may be run, `modules` are loaded in their order."""
    names = [path.rpartition("/")[2] for path in modules]
    entries = [
        *(Entry(path, _FOLDER_MODE) for path in FOLDERS),
        *(Entry(path, _PROGRAM_MODE, content) for path, content in programs.items()),
        *(Entry(path, _FILE_MODE, content) for path, content in texts.items()),
        *(
            Entry(f"modules/{name}", _FILE_MODE, content)
            for name, content in zip(names, modules.values(), strict=True)
        ),
        Entry("modules/order", _FILE_MODE, "".join(f"{name}\n" for name in names).encode()),
    ]
    return pack(entries)


def pack(entries: Iterable[Entry]) -> bytes:
    """A cpio archive of the kind that kernels read (newc), all files root's and of no time."""
    parts: list[bytes] = []
    for number, entry in enumerate((*entries, Entry(_END, 0)), start=1):
        name = entry.path.encode() + b"\0"
        fields = (
            number, entry.mode, 0, 0, 1, 0, len(entry.content), 0, 0, 0, 0, len(name), 0,
        )  # fmt: skip
        head = (_MAGIC + "".join(f"{value:08X}" for value in fields)).encode("ascii") + name
        parts += [_padded(head), _padded(entry.content)]
    return b"".join(parts)


def _padded(part: bytes) -> bytes:
    return part + b"\0" * (-len(part) % _ALIGNMENT)
