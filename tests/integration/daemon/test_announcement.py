"""How a node tells where it serves."""

import os
from dataclasses import replace
from pathlib import Path

from qvdnode.daemon.announcement import Announcement, correct, publish, read, withdraw


def test_what_is_published_can_be_read_until_it_is_withdrawn(tmp_path: Path) -> None:
    said = Announcement(os.getpid(), 8443, 8444, "SHA256:ab")
    publish(tmp_path, said)
    assert read(tmp_path) == said
    withdraw(tmp_path)
    assert read(tmp_path) is None


def test_a_node_that_is_gone_is_not_announced_any_more(tmp_path: Path) -> None:
    publish(tmp_path, Announcement(2**22 + 1, 1, 2, "x"))
    assert read(tmp_path) is None


def test_a_replaced_certificate_is_told_unless_nothing_was(tmp_path: Path) -> None:
    correct(tmp_path, "SHA256:new")
    assert read(tmp_path) is None
    said = Announcement(os.getpid(), 8443, 8444, "SHA256:old")
    publish(tmp_path, said)
    correct(tmp_path, "SHA256:new")
    assert read(tmp_path) == replace(said, fingerprint="SHA256:new")


def test_a_broken_file_announces_nothing(tmp_path: Path) -> None:
    (tmp_path / "node.json").write_text('{"pid": 1')
    assert read(tmp_path) is None
    (tmp_path / "node.json").write_text('{"other": 1}')
    assert read(tmp_path) is None
