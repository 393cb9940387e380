"""Which desktop a person means."""

from collections.abc import Sequence

from qvdnode.model.desktop import DesktopEntry
from qvdnode.model.errors import Invalid, NotFound


def choose(entries: Sequence[DesktopEntry], wish: str | None) -> DesktopEntry:
    """The desktop of that name or number, or the only one there is.

    A name wins over a number. Raises NotFound, or Invalid when there are several to choose from.
    """
    if not entries:
        raise NotFound("You have no desktop here; ask your administrator for one.")
    if wish is None:
        if len(entries) > 1:
            raise Invalid(f"Say which desktop with --vm: {_names(entries)}.", field="vm")
        return entries[0]
    named = [entry for entry in entries if entry.name == wish]
    numbered = [entry for entry in entries if str(entry.id) == wish]
    if len(named) > 1:
        raise Invalid(f"Several desktops have that name, give the number: {_names(named)}.")
    for entry in (*named, *numbered):
        return entry
    raise NotFound(f"You have no desktop {wish!r} here; there is {_names(entries)}.")


def _names(entries: Sequence[DesktopEntry]) -> str:
    return ", ".join(f"{entry.name} ({entry.id})" for entry in entries)
