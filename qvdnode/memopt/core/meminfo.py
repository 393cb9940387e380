"""Reads the kernel's tables of memory. Pure: text in, numbers out."""

from dataclasses import dataclass, replace

KIB_PER_MIB = 1024


@dataclass(frozen=True, slots=True)
class HostMemory:
    """The host's memory, in MiB."""

    total_mib: int
    available_mib: int
    """What could be given to a program without swapping, by the kernel's own estimate."""
    swap_free_mib: int
    swap_total_mib: int = 0
    cached_mib: int = 0
    """Files in memory."""

    def within(self, limit_mib: int, used_mib: int) -> "HostMemory":
        """The share of a node that may use `limit_mib` of it, and uses `used_mib`."""
        left_mib = max(limit_mib - used_mib, 0)
        return replace(
            self,
            total_mib=min(self.total_mib, limit_mib),
            available_mib=min(self.available_mib, left_mib),
        )


@dataclass(frozen=True, slots=True)
class Pressure:
    """How much of the last ten seconds was lost waiting, in percent; 0 where it is not told."""

    some_pct: float = 0.0
    full_pct: float = 0.0


def parse_meminfo(text: str) -> HostMemory:
    """/proc/meminfo; raises KeyError without MemTotal or MemAvailable (kernels before 3.14)."""
    kib = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isascii() and words[0].isdigit():
            kib[name] = int(words[0])
    return HostMemory(
        total_mib=kib["MemTotal"] // KIB_PER_MIB,
        available_mib=kib["MemAvailable"] // KIB_PER_MIB,
        swap_free_mib=kib.get("SwapFree", 0) // KIB_PER_MIB,
        swap_total_mib=kib.get("SwapTotal", 0) // KIB_PER_MIB,
        cached_mib=kib.get("Cached", 0) // KIB_PER_MIB,
    )


def parse_pressure(text: str) -> Pressure:
    """/proc/pressure/cpu, memory or io; what is missing or odd counts as no pressure."""
    found = {}
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        averages = [word for word in rest.split() if word.startswith("avg10=")]
        if averages:
            found[kind] = _percent(averages[0].removeprefix("avg10="))
    return Pressure(some_pct=found.get("some", 0.0), full_pct=found.get("full", 0.0))


def parse_stalled_us(text: str) -> tuple[int, int] | None:
    """The totals of `some` and `full` in /proc/pressure/memory, in microseconds, or None."""
    found = {}
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        for word in rest.split():
            name, _, value = word.partition("=")
            if name == "total" and value.isascii() and value.isdigit():
                found[kind] = int(value)
    if "some" not in found or "full" not in found:
        return None
    return found["some"], found["full"]


def _percent(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        return 0.0
    return value if 0.0 <= value <= 100.0 else 0.0
