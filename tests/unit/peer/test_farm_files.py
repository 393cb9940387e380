"""What makes a host a node is kept for root alone, and read whole or not at all."""

from pathlib import Path

import pytest

from qvdnode.model.errors import HostFailed
from qvdnode.model.ids import FarmId, NodeId
from qvdnode.peer.farm_files import (
    FARM_FILE,
    KEY_FILE,
    FarmFiles,
    FarmMember,
    NodeAddress,
    parse_member,
    render_member,
)

ADDRESS = NodeAddress(NodeId(1), "192.0.2.1", 8445, b"digest")
MEMBER = FarmMember(FarmId("farm"), "-----BEGIN", b"k" * 32, NodeId(2), "", ADDRESS)


@pytest.mark.parametrize(
    "member",
    [MEMBER, FarmMember(FarmId("farm"), "", b"k" * 32), FarmMember(FarmId("farm"), "", b"k" * 32,
     NodeId(1), "postgresql://db/farm")],
)  # fmt: skip
def test_what_is_kept_is_read(tmp_path: Path, member: FarmMember) -> None:
    files = FarmFiles(tmp_path)
    assert files.member() is None
    files.keep(member)
    assert files.member() == member
    assert (tmp_path / FARM_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("before", "after"),
    [("{", ""), ('"farm"', "7"), (b"k".hex() * 32, "6b"), ('"node_id": 2', '"node_id": []'),
     ('"key": "', '"key": "zz'), ('"dsn": ""', '"sdn": ""')],
)  # fmt: skip
def test_a_damaged_file_says_what_to_do(tmp_path: Path, before: str, after: str) -> None:
    content = render_member(MEMBER).decode()
    assert before in content
    (tmp_path / FARM_FILE).write_text(content.replace(before, after, 1))
    with pytest.raises(HostFailed, match=r"is damaged .* or join again"):
        FarmFiles(tmp_path).member()


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / FARM_FILE).mkdir()
    with pytest.raises(HostFailed, match="cannot be read"):
        FarmFiles(tmp_path).member()


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostFailed, match="cannot be written"):
        FarmFiles(tmp_path / "gone").keep(MEMBER)


def test_a_membership_can_be_forgotten(tmp_path: Path) -> None:
    files = FarmFiles(tmp_path)
    files.keep(MEMBER)
    files.forget()
    files.forget()
    assert files.member() is None


def test_the_key_is_made_once(tmp_path: Path) -> None:
    files = FarmFiles(tmp_path)
    key = files.key_pem()
    assert FarmFiles(tmp_path).key_pem() == key
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    (tmp_path / KEY_FILE).write_text("no key")
    with pytest.raises(HostFailed, match="holds no key of ours"):
        files.key_pem()


def test_a_certificate_that_is_none_counts_as_missing(tmp_path: Path) -> None:
    files = FarmFiles(tmp_path)
    assert files.identity() is None
    files.keep_certificate(b"no certificate")
    assert files.identity() is None
    with pytest.raises(HostFailed, match="cannot be used"):
        files.server_context(MEMBER)


def test_a_member_is_no_list() -> None:
    with pytest.raises(ValueError, match="missing or wrong"):
        parse_member(b"[]")
