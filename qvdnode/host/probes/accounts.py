"""Reads which ids are in use on this host: users, groups, subuid and subgid ranges. Blocks."""

import grp
import pwd
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SUBUID: Final = Path("/etc/subuid")
SUBGID: Final = Path("/etc/subgid")
NUMBER: Final = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class OwnedIds:
    """Ids start..start+count-1 belong to somebody."""

    owner: str
    start: int
    count: int

    def meets(self, start: int, count: int) -> bool:
        """Whether any id is in both ranges."""
        return self.start < start + count and start < self.start + self.count


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """All ids that are somebody's."""

    subuid: tuple[OwnedIds, ...]
    subgid: tuple[OwnedIds, ...]
    accounts: tuple[OwnedIds, ...]
    """Users and groups of this host, one id each."""


def probe() -> AccountFacts:
    """What /etc/subuid, /etc/subgid and the user database say."""
    users = [OwnedIds(f"user {item.pw_name}", item.pw_uid, 1) for item in pwd.getpwall()]
    groups = [OwnedIds(f"group {item.gr_name}", item.gr_gid, 1) for item in grp.getgrall()]
    return AccountFacts(
        subuid=tuple(parse_ranges(_lines(SUBUID))),
        subgid=tuple(parse_ranges(_lines(SUBGID))),
        accounts=tuple(users + groups),
    )


def parse_ranges(lines: Iterable[str]) -> list[OwnedIds]:
    """The ranges of a subuid file; lines that are not ranges are passed over, as by the kernel's
    tools."""
    found = []
    for line in lines:
        owner, _, numbers = line.strip().partition(":")
        start, _, count = numbers.partition(":")
        if owner and NUMBER.fullmatch(start) and NUMBER.fullmatch(count):
            found.append(OwnedIds(owner, int(start), int(count)))
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
