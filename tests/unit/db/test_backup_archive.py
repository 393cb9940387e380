"""Backup files: whole, damaged, hostile."""

import contextlib
import hashlib
import io
import json
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.db.backup_archive import (
    FORMAT,
    MANIFEST,
    Manifest,
    TableDump,
    open_archive,
    write_archive,
)
from qvdnode.model.errors import Conflict, HostFailed, Invalid, NotFound

ROWS = b"1\tdefault\n"
TABLE = TableDump("tenant", ("id", "name"), 1, hashlib.sha256(ROWS).hexdigest())
CONTENT = Manifest(4, "2026-01-01T00:00:00+00:00", (TABLE,))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    dump, key = tmp_path / "dump", tmp_path / "key.pem"
    dump.write_bytes(ROWS)
    key.write_bytes(b"key")
    write_archive(tmp_path / "b.tar", CONTENT, {"tenant": dump}, {"key.pem": key})
    return tmp_path / "b.tar"


def repacked(source: Path, **changes: bytes | None) -> Path:
    """The archive with some members replaced, left out (None) or added."""
    target = source.with_name("other.tar")
    names = {
        name.replace("__", "/").replace("_json", ".json"): new for name, new in changes.items()
    }
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        contents = {item.name: old.extractfile(item) for item in old.getmembers()}
        whole = {name: stream.read() for name, stream in contents.items() if stream}
        for name, data in {**whole, **names}.items():
            if data is not None:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                new.addfile(member, io.BytesIO(data))
    return target


def test_what_was_written_comes_back(archive: Path) -> None:
    with open_archive(archive) as opened:
        assert opened.manifest == CONTENT
        assert opened.table("tenant").read() == ROWS
        assert list(opened.files()) == [("key.pem", b"key")]


def test_only_its_owner_can_read_it(archive: Path) -> None:
    assert archive.stat().st_mode & 0o777 == 0o600


def test_nothing_is_overwritten(archive: Path) -> None:
    with pytest.raises(Conflict):
        write_archive(archive, CONTENT, {}, {})


def test_a_backup_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(HostFailed):
        write_archive(tmp_path / "b.tar", CONTENT, {"tenant": tmp_path / "missing"}, {})
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound), open_archive(tmp_path / "none"):
        pass


@pytest.mark.parametrize(
    "changes",
    [
        {"tables__tenant": b"2\tother\n"},
        {"tables__tenant": None},
        {"manifest_json": None},
        {"manifest_json": b"{"},
        {"manifest_json": b"{}"},
        {"manifest_json": json.dumps({"format": FORMAT + 1}).encode()},
        {"manifest_json": b"[" * 100_000},
    ],
)
def test_damage_is_noticed_before_anything_is_done(
    archive: Path, changes: dict[str, bytes | None]
) -> None:
    with pytest.raises(Invalid), open_archive(repacked(archive, **changes)):
        pass


@pytest.mark.parametrize("length", [0, 100, 700, 1500])
def test_a_truncated_file_is_refused(archive: Path, length: int) -> None:
    archive.write_bytes(archive.read_bytes()[:length])
    with pytest.raises(Invalid), open_archive(archive):
        pass


def test_headers_with_numbers_that_are_none_are_refused(archive: Path) -> None:
    with tarfile.open(archive, "a", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("files/x")
        member.pax_headers = {"GNU.sparse.map": "0,x"}
        tar.addfile(member)
    with pytest.raises(Invalid), open_archive(archive):
        pass


def with_member(source: Path, member: tarfile.TarInfo, content: bytes = b"") -> Path:
    """The archive without what has the member's name, and with the member."""
    target = repacked(source, **{member.name: None})
    with tarfile.open(target, "a", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(content))
    return target


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
@pytest.mark.parametrize("name", [MANIFEST, "tables/tenant"])
def test_a_file_that_leads_to_itself_is_refused(archive: Path, kind: bytes, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, Path(name).name if kind == tarfile.SYMTYPE else name
    with (
        pytest.raises(Invalid, match="not a plain file"),
        open_archive(with_member(archive, member)),
    ):
        pass


@pytest.mark.parametrize("name", [MANIFEST, "tables/tenant"])
def test_a_file_that_claims_to_be_huge_is_refused(archive: Path, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 50)}
    with (
        pytest.raises(Invalid, match="not a plain file"),
        open_archive(with_member(archive, member)),
    ):
        pass


def test_files_of_the_node_are_small(archive: Path) -> None:
    huge = repacked(archive, **{"files/key.pem": bytes(2 << 20)})
    with open_archive(huge) as opened, pytest.raises(Invalid, match="bytes"):
        list(opened.files())
    with (
        pytest.raises(Invalid, match="bytes"),
        open_archive(repacked(archive, manifest_json=b" " * (2 << 20))),
    ):
        pass


def test_headers_of_headers_and_files_without_number_are_refused(archive: Path) -> None:
    member = tarfile.TarInfo("x")
    member.type = tarfile.XHDTYPE
    with archive.open("r+b") as file:
        file.write(member.tobuf(tarfile.USTAR_FORMAT) * 5_000)
    with pytest.raises(Invalid), open_archive(archive):
        pass
    with tarfile.open(archive, "w") as tar:
        for number in range(2_000):
            tar.addfile(tarfile.TarInfo(str(number)))
    with pytest.raises(Invalid, match="over 1000"), open_archive(archive):
        pass


@given(st.integers(0, 3_000), st.binary(min_size=1, max_size=40))
def test_any_damage_is_refused_or_harmless(at: int, bytes_: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        dump, path = Path(folder) / "dump", Path(folder) / "b.tar"
        dump.write_bytes(ROWS)
        write_archive(path, CONTENT, {"tenant": dump}, {"key.pem": dump})
        whole = path.read_bytes()
        path.write_bytes(whole[:at] + bytes_ + whole[at + len(bytes_) :])
        with contextlib.suppress(Invalid), open_archive(path) as opened:
            assert all("/" not in name for name, _ in opened.files())


def test_files_with_folders_in_their_names_are_not_handed_out(archive: Path) -> None:
    hostile = repacked(archive, **{"files/../../etc/passwd": b"x", "files/..": b"x"})
    with open_archive(hostile) as opened:
        assert [name for name, _ in opened.files()] == ["key.pem"]


def test_the_manifest_has_its_own_name(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        assert tar.getnames()[0] == MANIFEST
