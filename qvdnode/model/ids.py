"""Identities. Those on the QVD wire are 32-bit integers, because old clients read ints."""

from typing import Final, NewType

TenantId = NewType("TenantId", int)
UserId = NewType("UserId", int)
FlavourId = NewType("FlavourId", int)
ImageId = NewType("ImageId", int)
VmId = NewType("VmId", int)
NodeId = NewType("NodeId", int)
FarmId = NewType("FarmId", str)
"""A random UUID, so that two farms never take each other's nodes."""
Generation = NewType("Generation", int)
"""The fencing token of one start of a VM; grows by one with every acquisition."""

MAX_WIRE_ID: Final = 2**31 - 1
"""Beyond 31 bits one family of clients reads 0."""
