"""The two tables as a page of the documentation: docs/vm-states.md."""

from collections.abc import Mapping
from enum import StrEnum

from qvdnode.vm.core import display, lifecycle


def as_markdown() -> str:
    """Both tables, and what the actor does on entering a state of a guest."""
    return "\n".join([
        "# States of a VM and of its display",
        "",
        "One table moves the guest of every driver (`vm/core/lifecycle.py`), a second one its",
        "display (`vm/core/display.py`). What is not in a table does not happen.",
        "",
        "## Guest",
        "",
        *_table(lifecycle.TRANSITIONS),
        "",
        "On entering a state:",
        "",
        "| state | what is done |",
        "|---|---|",
        *(
            f"| {state} | {', '.join(effects)} |"
            for state, effects in lifecycle.ON_ENTRY.items()
        ),
        "",
        "QVD clients know three of these: preparing and booting are shown as `starting`, stopped",
        "and failed as `stopped`, the others as `running`.",
        "",
        "## Display",
        "",
        *_table(display.TRANSITIONS),
        "",
    ])  # fmt: skip


def _table(transitions: Mapping[StrEnum, Mapping[StrEnum, StrEnum]]) -> list[str]:
    rows = [
        f"| {state} | {event} | {target} |"
        for state, events in transitions.items()
        for event, target in events.items()
    ]
    return ["| in state | when | goes to |", "|---|---|---|", *rows]
