"""A filter of system calls for nxproxy and Xvnc in their sandboxes, as bubblewrap takes it. Pure.

Namespaces do not hold all: AF_VSOCK has one port space for the whole host, keyrings are a user's,
and userfaultfd, io_uring and others make faults of the kernel easier to use. These programs need
none of that, so whoever takes one over does not get it.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

FAMILIES: Final = (1, 2, 10)
"""Families of sockets: unix, IPv4, IPv6."""
REFUSED: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        # name: its numbers on x86_64 and on aarch64
        "acct": (163, 89),
        "add_key": (248, 217),
        "bpf": (321, 280),
        "chroot": (161, 51),
        "delete_module": (176, 106),
        "fanotify_init": (300, 262),
        "finit_module": (313, 273),
        "fsconfig": (431, 431),
        "fsmount": (432, 432),
        "fsopen": (430, 430),
        "fspick": (433, 433),
        "init_module": (175, 105),
        "io_uring_enter": (426, 426),
        "io_uring_register": (427, 427),
        "io_uring_setup": (425, 425),
        "kcmp": (312, 272),
        "kexec_file_load": (320, 294),
        "kexec_load": (246, 104),
        "keyctl": (250, 219),
        "memfd_secret": (447, 447),
        "mount": (165, 40),
        "mount_setattr": (442, 442),
        "move_mount": (429, 429),
        "name_to_handle_at": (303, 264),
        "open_by_handle_at": (304, 265),
        "open_tree": (428, 428),
        "perf_event_open": (298, 241),
        "pidfd_getfd": (438, 438),
        "pivot_root": (155, 41),
        "process_madvise": (440, 440),
        "process_vm_readv": (310, 270),
        "process_vm_writev": (311, 271),
        "ptrace": (101, 117),
        "quotactl": (179, 60),
        "quotactl_fd": (443, 443),
        "reboot": (169, 142),
        "request_key": (249, 218),
        "setns": (308, 268),
        "swapoff": (168, 225),
        "swapon": (167, 224),
        "syslog": (103, 116),
        "umount2": (166, 39),
        "unshare": (272, 97),
        "userfaultfd": (323, 282),
    }
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of processor."""

    architecture: int
    column: int
    """Of REFUSED."""
    makers: tuple[int, int]
    """The numbers of socket and socketpair."""


_KINDS: Final = {
    "x86_64": _Kind(0xC000_003E, 0, (41, 53)),
    "aarch64": _Kind(0xC000_00B7, 1, (198, 199)),
}
_X32: Final = 0x4000_0000
"""From here on the numbers are of another kind of calls of x86_64."""
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_ALLOW, _ERROR, _KILL = 0x7FFF_0000, 0x0005_0000, 0x8000_0000
_EPERM, _EAFNOSUPPORT = 1, 97
_INSTRUCTION: Final = struct.Struct("=HBBI")


def program(machine: str) -> bytes | None:
    """The filter as an array of `struct sock_filter`; None for a processor that is not known.

    `machine` is the processor's kind, as `uname -m` names it. A program of another kind ends.
    """
    kind = _KINDS.get(machine)
    if kind is None:
        return None
    refused = [numbers[kind.column] for numbers in REFUSED.values()]
    head = 4 + len(kind.makers) + len(refused)
    refuse, kill, families = head + 1, head + 2, head + 3
    places = dict.fromkeys(kind.makers, families) | dict.fromkeys(refused, refuse)
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 0, kill - 2, kind.architecture),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, kill - 4, 0, _X32),
        # jumps count from the next instruction
        *((_EQUAL, to - at - 1, 0, number) for at, (number, to) in enumerate(places.items(), 4)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERROR | _EPERM),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        *((_EQUAL, len(FAMILIES) - at, 0, family) for at, family in enumerate(FAMILIES)),
        (_RETURN, 0, 0, _ERROR | _EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(_INSTRUCTION.pack(*step) for step in steps)
