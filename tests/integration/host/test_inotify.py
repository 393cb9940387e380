import errno
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from qvdnode.host.inotify import HEAD, OVERFLOWED, Inotify, changed_watches
from qvdnode.model.errors import PartGone
from tests.exhaustion import nothing_to_open_with
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


@pytest.fixture
def exhausted() -> Iterator[ExitStack]:
    """As long as it is open, this process can open nothing more."""
    with ExitStack() as until:
        until.enter_context(nothing_to_open_with())
        yield until


async def test_without_a_descriptor_folders_are_polled_until_there_is_one(
    inotify: Inotify, tmp_path: Path, exhausted: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qvdnode.host.inotify.AGAIN_S", 0.1)
    calls: list[int] = []
    end = inotify.watch(tmp_path, lambda: calls.append(1))
    assert REGISTRY.get_sample_value("qvdnode_polled_folders") == 1
    await until(lambda: len(calls) > 3)
    exhausted.close()
    await until(lambda: REGISTRY.get_sample_value("qvdnode_polled_folders") == 0)
    calls.clear()
    (tmp_path / "file").touch()
    await until(lambda: calls)
    end()
    assert inotify._callbacks == {}


async def test_without_a_watch_a_folder_is_polled_beside_those_that_are_watched(
    inotify: Inotify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    for name in ("watched", "polled"):
        (tmp_path / name).mkdir()
    _ = inotify.watch(tmp_path / "watched", lambda: seen.append("watched"))

    def add(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(inotify, "_add", add)
    end = inotify.watch(tmp_path / "polled", lambda: seen.append("polled"))
    await until(lambda: "polled" in seen)
    assert "watched" not in seen
    (tmp_path / "watched" / "file").touch()
    await until(lambda: "watched" in seen)
    end()
    assert REGISTRY.get_sample_value("qvdnode_polled_folders") == 0


async def test_a_folder_that_goes_away_while_it_is_polled_is_let_go(
    inotify: Inotify, tmp_path: Path, exhausted: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qvdnode.host.inotify.AGAIN_S", 0.1)
    folder = tmp_path / "folder"
    folder.mkdir()
    end = inotify.watch(folder, lambda: None)
    folder.rmdir()
    exhausted.close()
    await until(lambda: REGISTRY.get_sample_value("qvdnode_polled_folders") == 0)
    end()


async def test_a_missing_folder_is_said(inotify: Inotify, tmp_path: Path) -> None:
    with pytest.raises(PartGone):
        inotify.watch(tmp_path / "missing", lambda: None)


def test_records_of_the_kernel_are_read() -> None:
    first = HEAD.pack(3, 2, 0, 16) + b"log".ljust(16, b"\0")
    second = HEAD.pack(5, 2, 0, 0)
    assert changed_watches(first + second, [3, 5, 9]) == {3, 5}
    assert changed_watches(first + HEAD.pack(-1, OVERFLOWED, 0, 0), [3, 5, 9]) == {3, 5, 9}
