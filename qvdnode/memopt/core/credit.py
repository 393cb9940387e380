"""What may be promised again because hibernation and merging are measured to save it. Pure.

A hibernated desktop needs less than its flavour's promise for as long as it sleeps, and merged
pages are there once. Both can end: all users may come back in the morning, and merged pages are
written to. So only a share of it is given again, and the floor of really available memory holds
whatever was promised.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from qvdnode.memopt.core.figures import MIB, GuestFigures
from qvdnode.model.vm_state import VmState

TYPICAL_MIB: Final = 96
"""What a desktop takes, until the first ones of this node can be measured."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the promises do not tell."""

    credit_mib: int = 0
    """May be promised beyond the capacity."""
    growth_mib: int = 0
    """What desktops that have just been started are going to take."""


NOTHING_MEASURED: Final = Outlook()


def outlook(guests: Sequence[GuestFigures], merged_mib: int, credit_pct: int) -> Outlook:
    """The outlook by the last measurement."""
    asleep = [guest for guest in guests if guest.state is VmState.HIBERNATED]
    saved_mib = sum(max(guest.promised_mib - _used_mib(guest), 0) for guest in asleep)
    return Outlook((saved_mib + merged_mib) * credit_pct // 100, _growth_mib(guests))


def _growth_mib(guests: Sequence[GuestFigures]) -> int:
    settled = [_used_mib(guest) for guest in guests if guest.viewer and not guest.is_young]
    typical_mib = sum(settled) // len(settled) if settled else TYPICAL_MIB
    young = [guest for guest in guests if guest.is_young]
    return sum(max(min(typical_mib, guest.promised_mib) - _used_mib(guest), 0) for guest in young)


def _used_mib(guest: GuestFigures) -> int:
    return guest.memory.used_bytes // MIB
