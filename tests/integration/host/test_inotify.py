from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qvdnode.host.inotify import HEAD, OVERFLOWED, Inotify, changed_watches
from qvdnode.model.errors import HostFailed
from tests.waiting import until


@pytest.fixture
async def inotify() -> AsyncIterator[Inotify]:
    inotify = Inotify()
    yield inotify
    inotify.close()


async def test_changes_of_each_folder_reach_their_own_watcher(
    inotify: Inotify, tmp_path: Path
) -> None:
    seen: list[str] = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        _ = inotify.watch(tmp_path / name, lambda name=name: seen.append(name))  # type: ignore[misc]  # the default binds the name
    (tmp_path / "two" / "file").touch()
    await until(lambda: "two" in seen)
    assert "one" not in seen


async def test_an_ended_watch_is_silent_and_may_be_made_again(
    inotify: Inotify, tmp_path: Path
) -> None:
    seen: list[str] = []
    end = inotify.watch(tmp_path, lambda: seen.append("first"))
    end()
    _ = inotify.watch(tmp_path, lambda: seen.append("second"))
    end()
    (tmp_path / "file").touch()
    await until(lambda: "second" in seen)
    assert "first" not in seen


async def test_a_thousand_writes_are_few_calls(inotify: Inotify, tmp_path: Path) -> None:
    calls: list[int] = []
    _ = inotify.watch(tmp_path, lambda: calls.append(1))
    with (tmp_path / "log").open("w", encoding="ascii") as log:
        for _ in range(1000):
            log.write("x")
            log.flush()
    await until(lambda: calls)
    assert len(calls) < 10


async def test_a_missing_folder_is_said(inotify: Inotify, tmp_path: Path) -> None:
    with pytest.raises(HostFailed):
        inotify.watch(tmp_path / "missing", lambda: None)


def test_records_of_the_kernel_are_read() -> None:
    first = HEAD.pack(3, 2, 0, 16) + b"log".ljust(16, b"\0")
    second = HEAD.pack(5, 2, 0, 0)
    assert changed_watches(first + second, [3, 5, 9]) == {3, 5}
    assert changed_watches(first + HEAD.pack(-1, OVERFLOWED, 0, 0), [3, 5, 9]) == {3, 5, 9}
