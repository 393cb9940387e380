"""The order in which commits are listed; pure."""

import heapq
from collections.abc import Callable

from qvdnode.image.core.commit import Commit


def newest_first(
    start: str, commit_of: Callable[[str], Commit | None], limit: int | None = None
) -> list[tuple[str, Commit]]:
    """A commit and those before it. One that is not known, None, ends its line."""
    found: list[tuple[str, Commit]] = []
    waiting: list[tuple[int, int, str, Commit]] = []
    seen: set[str] = set()

    def add(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        commit = commit_of(name)
        if commit is not None:
            # Of commits of one second, the one that was met first is the newer one.
            heapq.heappush(waiting, (-commit.made_at, len(seen), name, commit))

    add(start)
    while waiting and (limit is None or len(found) < limit):
        _, _, name, commit = heapq.heappop(waiting)
        found.append((name, commit))
        for parent in commit.parents:
            add(parent)
    return found
