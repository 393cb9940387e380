"""A system call filter for what guest.seccomp cannot say: sockets made by 32-bit programs. Pure.

LXC knows no name for the 32-bit calls `socket` and `socketpair`, since libseccomp takes them for
parts of `socketcall`; any program of a guest can make them by `int 0x80`. The filter is put on
what starts and enters guests, which hand it down to all that runs in them.
"""

import struct
from typing import Final

FAMILIES: Final = (1, 2, 10)
"""Unix, IPv4, IPv6: what desktops need, as guest.seccomp says for 64-bit programs."""
EAFNOSUPPORT: Final = 97
I386: Final = 0x4000_0003
SOCKET, SOCKETPAIR = 359, 360
"""Their numbers among the 32-bit calls of x86."""

_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_ALLOW, _ERROR = 0x7FFF_0000, 0x0005_0000
_INSTRUCTION: Final = struct.Struct("=HBBI")


def program() -> bytes:
    """The filter as an array of `struct sock_filter`, for a kernel of x86; others ignore it."""
    allow = 7 + len(FAMILIES)  # the place of the last instruction; jumps count from the next one
    instructions = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 0, allow - 2, I386),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_EQUAL, 1, 0, SOCKET),
        (_EQUAL, 0, allow - 5, SOCKETPAIR),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        *((_EQUAL, allow - 7 - place, 0, family) for place, family in enumerate(FAMILIES)),
        (_RETURN, 0, 0, _ERROR | EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in instructions)
