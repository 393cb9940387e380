import struct

import pytest

from qvdnode.host.core.sandbox_filter import FAMILIES, REFUSED, program

ALLOW, EPERM, EAFNOSUPPORT, KILL = 0x7FFF_0000, 0x0005_0001, 0x0005_0061, 0x8000_0000
ARCHITECTURES = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
I386 = 0x4000_0003
SOCKETS = {"x86_64": (41, 53), "aarch64": (198, 199)}
NETLINK, VSOCK = 16, 40


def verdict(machine: str, number: int, first: int = 0, architecture: int | None = None) -> int:
    """What the kernel's interpreter of such programs would answer."""
    kind = ARCHITECTURES[machine] if architecture is None else architecture
    facts = struct.pack("=IIQ6Q", number, kind, 0, first, 0, 0, 0, 0, 0)
    steps = list(struct.iter_unpack("=HBBI", program(machine) or b""))
    at = held = 0
    while True:
        code, if_so, otherwise, value = steps[at]
        match code:
            case 0x20:
                (held,) = struct.unpack_from("=I", facts, value)
                at += 1
            case 0x15:
                at += 1 + (if_so if held == value else otherwise)
            case 0x35:
                at += 1 + (if_so if held >= value else otherwise)
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(code)


@pytest.mark.parametrize("machine", list(ARCHITECTURES))
def test_exactly_the_listed_calls_are_refused(machine: str) -> None:
    column = list(ARCHITECTURES).index(machine)
    listed = {numbers[column] for numbers in REFUSED.values()}
    assert len(listed) == len(REFUSED)
    unix = 1
    refused = {number for number in range(600) if verdict(machine, number, unix) == EPERM}
    assert refused == listed
    allowed = {number for number in range(600) if verdict(machine, number, unix) == ALLOW}
    assert allowed == set(range(600)) - listed


@pytest.mark.parametrize("machine", list(ARCHITECTURES))
def test_sockets_are_of_few_families(machine: str) -> None:
    for number in SOCKETS[machine]:
        allowed = {family for family in range(70) if verdict(machine, number, family) == ALLOW}
        assert allowed == set(FAMILIES)
        for family in (NETLINK, VSOCK):
            assert verdict(machine, number, family) == EAFNOSUPPORT


@pytest.mark.parametrize("machine", list(ARCHITECTURES))
def test_programs_of_another_kind_end(machine: str) -> None:
    assert verdict(machine, 20, architecture=I386) == KILL
    assert verdict(machine, 0x4000_0000 + 39) == KILL


def test_there_is_none_for_other_processors() -> None:
    assert program("riscv64") is None
