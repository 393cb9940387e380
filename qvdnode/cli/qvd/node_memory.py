"""Draws where a host's memory went: a bar for each use, a table of desktops, and what was done."""

from collections.abc import Mapping
from typing import Any, Final

from qvdnode.cli.answer_tables import Column, show_json, show_rows, tell

BAR: Final = 40
"""Width of a bar that stands for the whole memory."""
USES: Final = (
    Column("USE", "use"),
    Column("MIB", "mib"),
    Column("", "bar"),
)
GUESTS: Final = (
    Column("VM", "vm_id"),
    Column("NAME", "name"),
    Column("USER", "user"),
    Column("STATE", "state"),
    Column("UNUSED SINCE", "unused_since", spare=True),
    Column("MEMORY MIB", "used_mib"),
    Column("PROGRAMS", "programs_mib", spare=True),
    Column("FILES", "cached_mib", spare=True),
    Column("IN SWAP", "swapped_mib"),
    Column("CPU %", "cpu_pct"),
)
ACTIONS: Final = (
    Column("AT", "at"),
    Column("VM", "vm_id"),
    Column("DONE", "what"),
    Column("BECAUSE", "reason", wraps=True),
)


def show_memory(found: Mapping[str, Any], *, json: bool) -> None:
    """Print the answer of /node/memory."""
    if json:
        show_json(found)
        return
    show_rows(uses(found), USES, json=False)
    for sentence in sentences(found):
        tell(sentence)
    if found["guests"]:
        tell("")
        show_rows(found["guests"], GUESTS, json=False)
    if found["actions"]:
        tell("")
        show_rows(found["actions"], ACTIONS, json=False)


def uses(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the host's memory is used for; what is left of it is available or the host's own."""
    total_mib, zram = found["host"]["total_mib"], found["zram"]
    named = {
        "desktops": found["guests_mib"],
        "compressed swap": 0 if zram is None else zram["takes_mib"],
        "node": found["node_mib"],
        "database": found["database_mib"],
        "available": found["host"]["available_mib"],
    }
    # The files that desktops share are charged to those who read them first, and are available.
    named["other, and files in memory"] = max(total_mib - sum(named.values()), 0)
    rows = [{"use": use, "mib": mib, "bar": bar(mib, total_mib)} for use, mib in named.items()]
    return [*rows, {"use": "total", "mib": total_mib, "bar": ""}]


def bar(mib: int, total_mib: int) -> str:
    """A bar as long as the share of the whole."""
    return "" if total_mib <= 0 else "#" * min(BAR, round(BAR * mib / total_mib))


def sentences(found: Mapping[str, Any]) -> list[str]:
    """What the bars do not tell."""
    host, merged, zram = found["host"], found["merged"], found["zram"]
    used_mib = host["swap_total_mib"] - host["swap_free_mib"]
    saving = f"saves {merged['saved_mib']} MiB and has taken {merged['cpu_s']:.1f} s of a core"
    told = [f"Swap: {used_mib} of {host['swap_total_mib']} MiB are used."]
    if zram is not None:
        told.append(f"Compressed swap: {zram['holds_mib']} MiB take {zram['takes_mib']} MiB.")
    pace = f"{merged['pages_per_s']} pages a second are looked at: {merged['reason']}"
    told.append(f"Merging equal memory {saving}; {pace}.")
    told.append(
        f"{found['credit_mib']} MiB that are saved may be promised again; desktops that were just"
        f" started are expected to take {found['growth_mib']} MiB more."
    )
    if found["obstacle"] is not None:
        told.append(f"Desktops that should hibernate do not: {found['obstacle']}.")
    return told
