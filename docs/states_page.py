"""The diagrams of a guest's and a display's life, drawn from their tables."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

from docs.source_notes import attribute_docs
from qvdnode.model.vm_state import ON_THE_WIRE, VmState
from qvdnode.vm.core import display, lifecycle
from qvdnode.vm.core.display import SHOWN_AS, DisplayEvent, DisplayPhase
from qvdnode.vm.core.lifecycle import Action, GuestEvent

HEAD: Final = """\
# The life of a desktop

Two tables: one for the guest (`vm/core/lifecycle.py`), the same for every driver, and one for its
display (`vm/core/display.py`, which says when SIGHUP is safe). What is not in a table does not
happen: an event that a state has no row for is ignored.
"""

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


def states_page() -> str:
    """Both diagrams, and what their words mean."""
    wire = [f"| `{state}` | {ON_THE_WIRE[state]} | {actions(state)} |" for state in VmState]
    return "\n".join(
        [
            HEAD,
            "## The guest\n",
            *diagram(lifecycle.TRANSITIONS),
            "\n| state | QVD clients read | done on entering it |",
            "|---|---|---|",
            *wire,
            "",
            *meanings("event", GuestEvent),
            *meanings("action", Action),
            "## The display\n\nQVD clients do not see it; others read the second column.\n",
            *diagram(display.TRANSITIONS),
            "",
            *phases(),
            *meanings("event", DisplayEvent),
        ]
    )


def diagram(table: Mapping[S, Mapping[E, S]]) -> list[str]:
    """A table as a Mermaid state diagram; the first state is where it begins."""
    rows = [
        f"    {state} --> {target}: {event}"
        for state, row in table.items()
        for event, target in row.items()
    ]
    return ["```mermaid", "stateDiagram-v2", f"    [*] --> {next(iter(table))}", *rows, "```"]


def phases() -> list[str]:
    """What each phase of a display is shown as, and what it says about itself."""
    said = dict(attribute_docs(DisplayPhase))
    rows = [f"| `{phase}` | {SHOWN_AS[phase]} | {said[phase.name]} |" for phase in DisplayPhase]
    return ["| phase | others read | meaning |", "|---|---|---|", *rows, ""]


def actions(state: VmState) -> str:
    """What is done when the guest comes to a state."""
    return ", ".join(f"`{effect}`" for effect in lifecycle.ON_ENTRY.get(state, ()))


def meanings(what: str, words: type[StrEnum]) -> list[str]:
    """What each member of an enumeration says about itself."""
    said = dict(attribute_docs(words))
    rows = [f"| `{word}` | {said.get(word.name, '')} |" for word in words]
    return [f"| {what} | meaning |", "|---|---|", *rows, ""]
