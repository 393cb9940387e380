"""When a home is due for a snapshot, which snapshots stay, and what time a person means; pure.

Snapshots are named by their time, such as 2026-11-30T14-00-00Z, so names sort by time.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from qvdnode.model.errors import Invalid

MOMENT: Final = "%Y-%m-%dT%H-%M-%SZ"
"""The name of a snapshot, as a format of its time in UTC."""
_PARTS: Final = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?:[T ](?P<time>\d\d(?:[:-]\d\d){0,2})Z?)?", re.ASCII
)
_CLOCK: Final = re.compile(r"(?P<hour>\d{1,2}):(?P<minute>\d\d)", re.ASCII)
_AGE: Final = re.compile(r"(?P<number>\d{1,4}) ?(?P<unit>[mhdw])(?: ago)?", re.ASCII)
_UNITS: Final = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


@dataclass(frozen=True, slots=True)
class Keep:
    """How many snapshots stay: the last one of each of so many hours, days and weeks."""

    hourly: int
    daily: int
    weekly: int


def name_of(moment: datetime) -> str:
    """The name of a snapshot that is made at this time."""
    return moment.astimezone(UTC).strftime(MOMENT)


def time_of(name: str) -> datetime:
    """The time of a snapshot; raises Invalid for what is not the name of one."""
    try:
        return datetime.strptime(name, MOMENT).replace(tzinfo=UTC)
    except ValueError as error:
        raise Invalid(f"{name!r} is not the name of a snapshot") from error


def is_due(names: Iterable[str], now: datetime, every: timedelta) -> bool:
    """Whether the last snapshot is older than `every`, or there is none.

    One from the future, which a clock that was set back leaves, does not count.
    """
    return not any(now - every < time_of(name) <= now for name in names)


def kept(names: Iterable[str], keep: Keep) -> list[str]:
    """The snapshots that stay, oldest first; the newest one always does."""
    ordered = sorted(names)
    stay = set(ordered[-1:])
    for periods, count in (
        ("%Y-%m-%d %H", keep.hourly),
        ("%Y-%m-%d", keep.daily),
        ("%G-%V", keep.weekly),
    ):
        last = {time_of(name).strftime(periods): name for name in ordered}
        stay.update(list(last.values())[-count:] if count else ())
    return [name for name in ordered if name in stay]


def moment_of(text: str, now: datetime) -> str:
    """The start of a snapshot's name that a person's time means, in UTC; raises Invalid.

    `newest` of core/home_snapshot.py takes it. Nothing means the newest; else a date, a date and a
    time, a time of today, `yesterday`, or an age such as 2h or 3d.
    """
    wanted = text.strip()
    if not wanted:
        return ""
    if wanted == "yesterday":
        return f"{now.astimezone(UTC) - timedelta(days=1):%Y-%m-%d}"
    if (found := _AGE.fullmatch(wanted)) is not None:
        return name_of(now - int(found["number"]) * _UNITS[found["unit"]])
    if (found := _CLOCK.fullmatch(wanted)) is not None:
        return f"{now.astimezone(UTC):%Y-%m-%d}T{int(found['hour']):02}-{found['minute']}"
    if (found := _PARTS.fullmatch(wanted)) is not None:
        time = found["time"]
        return found["day"] + ("" if time is None else "T" + time.replace(":", "-"))
    raise Invalid(
        f"{wanted!r} is not a time: write 2026-11-30, '2026-11-30 14:00', 14:00, yesterday, or an"
        " age such as 30m, 2h or 3d. Times are in UTC.",
        field="at",
    )
