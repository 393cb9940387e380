import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.image.core import file_signatures


def tar_head(kind: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=kind) as archive:
        archive.addfile(tarfile.TarInfo("etc"))
    return stream.getvalue()[: file_signatures.HEAD_BYTES]


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_are_known(kind: int) -> None:
    assert file_signatures.is_tar(tar_head(kind))
    assert file_signatures.describe(tar_head(kind)) is None


def test_a_tar_of_unix_version_7_is_known_by_its_sum() -> None:
    head = bytearray(tar_head(tarfile.USTAR_FORMAT))
    head[257:265] = bytes(8)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head[:512])
    assert file_signatures.is_tar(bytes(head))


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"MSWIM\0\0\0" + bytes(600), "WIM"),
        (b"vhdxfile" + bytes(600), "VHDX"),
        (b"conectix" + bytes(600), "VHD"),
        (b"MZ" + bytes(600), "Windows program"),
        (b"\xeb\x52\x90NTFS    " + bytes(600), "NTFS"),
        (bytes(0x8001) + b"CD001", "ISO"),
        (b"QFI\xfb" + bytes(600), "qcow2"),
        (b"PK\x03\x04", "ZIP"),
    ],
)
def test_other_things_are_called_by_their_name(head: bytes, told: str) -> None:
    assert told in str(file_signatures.describe(head))
    assert not file_signatures.is_tar(head)


def test_what_nobody_knows_has_no_name() -> None:
    assert file_signatures.describe(b"hello") is None
    assert not file_signatures.is_tar(b"hello" + bytes(600))


@given(st.binary(max_size=600))
def test_any_start_is_answered(head: bytes) -> None:
    file_signatures.describe(head)
