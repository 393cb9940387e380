"""Shows why a VM runs where it runs, and what each node is worth for a start now."""

from collections.abc import Mapping
from typing import Any

from qvdnode.cli.answer_tables import show_json, tell
from qvdnode.cli.plain_values import cell


def show_placement(found: Mapping[str, Any], *, json: bool) -> None:
    """Print the answer of /vms/{id}/placement."""
    if json:
        show_json(found)
        return
    for sentence in sentences(found):
        tell(sentence)


def sentences(found: Mapping[str, Any]) -> list[str]:
    """The answer as lines for a person."""
    last = found["last"]
    lines = [f"VM {found['id']} ({found['user']}/{found['name']}): {found['summary']}", ""]
    if last is None:
        lines.append("Last start: none since nodes keep their reasons.")
    else:
        at = cell(last["placed_at"], "placed_at")
        lines.append(f"Last start: {at}, on {last['node']}, chosen by {last['chosen_by']}.")
        lines += [f"  {reason}" for reason in last["reasons"]]
    lines += ["", "A start now:"]
    for node in sorted(found["nodes"], key=lambda node: -(node["score"] or -1)):
        age = node["age_s"]
        told = f" Figures of {cell(age)} s ago." if age else ""
        lines.append(f"  {node['because']}{told}")
    return lines
