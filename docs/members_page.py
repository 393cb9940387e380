"""The diagram of what members of a farm believe of one another, drawn from its table."""

from typing import Final

from docs.source_notes import attribute_docs
from docs.states_page import meanings
from qvdnode.cluster.core.swim.beliefs import TRANSITIONS, Evidence
from qvdnode.wire.swim import MemberState

HEAD: Final = """\
# What members of a farm believe of one another

One table (`cluster/core/swim/beliefs.py`). Evidence about an older incarnation changes nothing, and
only a member itself moves on to a newer one, so all come to believe the same.
"""


def members_page() -> str:
    """The diagram, and what its words mean."""
    arrows = [
        f"    {word(state)} --> {word(target)}: {evidence}"
        for state, row in TRANSITIONS.items()
        for evidence, target in row.items()
    ]
    start = f"    [*] --> {word(MemberState.ALIVE)}"
    states = [f"| `{name.lower()}` | {text} |" for name, text in attribute_docs(MemberState)]
    return "\n".join(
        [
            HEAD,
            *["```mermaid", "stateDiagram-v2", start, *arrows, "```"],
            "\n| state | meaning |",
            "|---|---|",
            *states,
            "",
            *meanings("evidence", Evidence),
        ]
    )


def word(state: MemberState) -> str:
    """A state as the page calls it."""
    return state.name.lower()
