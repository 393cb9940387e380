"""The figures that a density run gives, under the names by which they are published."""

from typing import Any, Final

from bench.density_found import Run, Wanted
from bench.desk_node import percentile

MANY: Final = 400
"""Desktops on the node for which some figures are defined."""
LEAST_ECHOES: Final = 100


def figures(found: Run) -> dict[str, float | str | None]:
    """What the summary says of one run of one mode."""
    marks = found.marks
    given: dict[str, float | str | None] = {
        "logins": len(found.login_s),
        "failed": len(found.errors),
        "stopped_because": found.stopped_because,
        "oom_kills": max((mark.oom_kills for mark in marks.values()), default=0),
        "logins_per_min": _per(60 * len(found.login_s), found.fill_s),
        "cpu_s_per_login": _per(found.fill_cpu_s, len(found.login_s)),
        "idle_cpu_pct": found.idle_cpu_pct,
        "hibernate_s": found.hibernate_s,
        "hibernate300_s": found.hibernate300_s,
        "hibernate_cores": found.hibernate_cores,
        **_seconds("login", found.login_s),
        **_seconds("reconnect", found.reconnect_s),
        **_seconds("thaw", found.thaw_s),
        **_seconds("thaw_again", found.thaw_again_s),
        **_echoes(found),
        **_sizes(found),
    }
    if "connected" in marks:
        given["connected"] = marks["connected"].connected
        given["node_rss_mib"] = marks["connected"].node_rss_mib
    if "left" in marks:
        given["total"] = marks["left"].desktops
    return given


def named(wanted: Wanted, given: dict[str, Any]) -> dict[str, float]:
    """The published figures that a run with all steps on gives; none that it did not reach."""
    image, found = wanted.image, {}
    went_well = not given["failed"] and not given["oom_kills"]
    if wanted.stay_s == 0 and went_well:
        found[f"{image}_connected"] = given.get("connected")
        found[f"{image}_mb"] = given.get("connected_mb_each")
    if wanted.stay_s and went_well:
        found[f"{image}_total_with_{given.get('connected')}_connected"] = given.get("total")
    found[f"{image}_hibernated_mb"] = given.get("hibernated_mb_each")
    if image == "xfce":
        names = ["logins_per_min", "idle_cpu_pct", "echo_p99_ratio", "hibernate300_s"]
        names += ["thaw_p50_s", "thaw_p99_s", "cpu_s_per_login"]
        found |= {name: given.get(name) for name in names}
        if (given.get("connected") or 0) >= MANY:
            found[f"node_rss_mib_at_{MANY}"] = given["node_rss_mib"]
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


def saved(modes: dict[str, dict[str, Any]]) -> dict[str, float]:
    """What each mode saves of a desktop's memory against all steps off, in MB."""
    off = modes.get("off", {})
    found = {}
    for mode, given in modes.items():
        for name in ("connected_mb_each", "left_mb_each"):
            if mode != "off" and given.get(name) is not None and off.get(name) is not None:
                found[f"{mode}_{name}"] = round(off[name] - given[name], 1)
    return found


def _sizes(found: Run) -> dict[str, float | str | None]:
    """Memory per desktop in MB (MiB), swap counted by what it takes after compression."""
    given: dict[str, float | str | None] = {}
    empty = found.marks.get("empty")
    for phase, mark in found.marks.items():
        if not mark.desktops or phase in {"idle", "typing"}:
            continue
        given[f"{phase}_mb_each"] = round((mark.guests_mib + mark.zram_mib) / mark.desktops, 1)
        given[f"{phase}_pss_each"] = found.pss_mib.get(phase)
        given[f"{phase}_generator_mib"] = found.generator_mib.get(phase)
        if empty is not None:
            more = found.generator_mib.get(phase, 0.0) - found.generator_mib.get("empty", 0.0)
            host = empty.available_mib - mark.available_mib - more
            given[f"{phase}_host_mb_each"] = round(host / mark.desktops, 1)
    left = found.marks.get("left")
    if found.asleep_mib is not None and left is not None and left.guests_swapped_mib:
        used, swapped = found.asleep_mib
        # Kernels count in swap what is on its way there, too.
        packed = left.zram_mib / max(left.guests_swapped_mib, 1)
        given["hibernated_mb_each"] = round(used + swapped * packed, 1)
        given["hibernated_resident_mb_each"], given["hibernated_swapped_mb_each"] = used, swapped
    return given


def _seconds(name: str, samples: list[float]) -> dict[str, float | str | None]:
    return {
        f"{name}_p{share}_s": round(percentile(samples, share / 100), 4) if samples else None
        for share in (50, 99)
    }


def _echoes(found: Run) -> dict[str, float | str | None]:
    given: dict[str, float | str | None] = {}
    for name, echoes in (("echo_few", found.echo_few), ("echo", found.echo_all)):
        if echoes is None or not echoes.seconds:
            continue
        given |= _seconds(name, echoes.seconds)
        given[f"{name}_samples"], given[f"{name}_lost"] = len(echoes.seconds), echoes.lost
    few, every = given.get("echo_few_p99_s"), given.get("echo_p99_s")
    if isinstance(few, float) and isinstance(every, float):
        given["echo_p99_ratio"] = _per(every, few)
    return given


def _per(value: float, count: float) -> float | None:
    return round(value / count, 2) if count else None
