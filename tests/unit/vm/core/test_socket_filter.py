import struct

import pytest

from qvdnode.vm.core import socket_filter

ALLOW, REFUSE = 0x7FFF_0000, 0x0005_0061
X86_64 = 0xC000_003E
SOCKET, SOCKETPAIR, CONNECT = 359, 360, 362


def verdict(architecture: int, number: int, family: int) -> int:
    """What the kernel's interpreter of such programs would answer."""
    facts = struct.pack("=IIQ6Q", number, architecture, 0, family, 0, 0, 0, 0, 0)
    steps = list(struct.iter_unpack("=HBBI", socket_filter.program()))
    at = held = 0
    while True:
        code, if_equal, otherwise, value = steps[at]
        match code:
            case 0x20:
                (held,) = struct.unpack_from("=I", facts, value)
                at += 1
            case 0x15:
                at += 1 + (if_equal if held == value else otherwise)
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(code)


@pytest.mark.parametrize("number", [SOCKET, SOCKETPAIR])
def test_32_bit_programs_get_the_families_of_desktops_alone(number: int) -> None:
    allowed = {
        family for family in range(70) if verdict(socket_filter.I386, number, family) == ALLOW
    }
    assert allowed == {1, 2, 10}
    assert verdict(socket_filter.I386, number, 40) == REFUSE


def test_all_other_calls_are_left_to_other_filters() -> None:
    assert verdict(socket_filter.I386, CONNECT, 40) == ALLOW
    assert verdict(X86_64, SOCKET, 40) == ALLOW
