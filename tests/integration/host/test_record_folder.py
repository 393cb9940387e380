"""One at a time, and every refusal of the file system is told."""

import threading
from pathlib import Path

import pytest

from qvdnode.host.record_folder import locked
from qvdnode.model.errors import HostFailed


def test_the_second_waits_for_the_first(tmp_path: Path) -> None:
    order: list[str] = []
    folder = tmp_path / "run" / "records"

    def second() -> None:
        with locked(folder, "No"):
            order.append("second")

    waiting = threading.Thread(target=second)
    with locked(folder, "No"):
        waiting.start()
        waiting.join(0.1)
        order.append("first")
    waiting.join(5)
    assert order == ["first", "second"]


def test_what_is_refused_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostFailed, match=r"It cannot be: .*gone"), locked(tmp_path, "It cannot be"):
        (tmp_path / "gone").read_text()
