"""Recognises other file formats than tar by their first bytes, for error messages; pure."""

from typing import Final

HEAD_BYTES: Final = 33_024
"""Bytes that `describe` needs: the signature of ISO 9660 is at 32 KiB."""

GZIP: Final = b"\x1f\x8b"
XZ: Final = b"\xfd7zXZ\x00"
ZSTD: Final = b"\x28\xb5\x2f\xfd"

_MARKS: Final = (
    (0, b"MSWIM\x00\x00\x00", "a Windows image (WIM)"),
    (0, b"vhdxfile", "a disk of Hyper-V (VHDX)"),
    (0, b"conectix", "a disk of Hyper-V (VHD)"),
    (0, b"MZ", "a Windows program"),
    (3, b"NTFS    ", "a Windows disk (NTFS)"),
    (0x8001, b"CD001", "an ISO 9660 medium"),
    (0, b"QFI\xfb", "a disk of QEMU (qcow2)"),
    (0, b"KDMV", "a disk of VMware (VMDK)"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"hsqs", "a squashfs"),
)
_TAR_MARK: Final = 257
_BLOCK: Final = 512


def describe(head: bytes) -> str | None:
    """Name the format of a stream that is not tar, for people; None for tar and unknown ones."""
    if is_tar(head):
        return None
    for offset, mark, name in _MARKS:
        if head[offset : offset + len(mark)] == mark:
            return name
    return None


def is_tar(head: bytes) -> bool:
    """Whether a stream starts like a tar, of the POSIX, GNU or Unix version 7 format."""
    if head[_TAR_MARK : _TAR_MARK + 5] == b"ustar":
        return True
    if len(head) < _BLOCK:
        return False
    field = head[148:156].split(b"\0", maxsplit=1)[0].strip()
    told = int(field, 8) if field and field.strip(b"01234567") == b"" else -1
    return told == sum(head[:148]) + 8 * ord(" ") + sum(head[156:_BLOCK])
