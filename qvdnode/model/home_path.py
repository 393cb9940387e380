"""Paths of files in a user's home, as a browser sends them. Pure.

A path is relative to the home, with `/` between its parts; the empty path is the home itself. What
these functions accept can still be a link on the disk: opening it is confined besides
(host/guest_home.py).
"""

from typing import Final

from qvdnode.model.errors import Invalid

NAME_BYTES_MAX: Final = 255
"""What file systems take."""
PARTS_MAX: Final = 64
UPLOAD_PREFIX: Final = ".qvd-upload-"
"""Begins the names of files that have arrived in part: not shown, and no name for other files."""


def parts_of(path: str) -> tuple[str, ...]:
    """The parts of a path; raises Invalid."""
    if not path:
        return ()
    parts = tuple(path.split("/"))
    if len(parts) > PARTS_MAX:
        raise Invalid(f"A path has at most {PARTS_MAX} parts.", field="path")
    for part in parts:
        check_name(part, field="path")
    return parts


def check_name(name: str, *, field: str) -> None:
    """Check the name of one file or folder; raises Invalid."""
    if name in {"", ".", ".."} or "/" in name:
        raise Invalid("A name of a file is not empty, `.` or `..`, and has no `/`.", field=field)
    if any(_is_control(char) for char in name):
        raise Invalid("A name of a file has no control characters.", field=field)
    if len(name.encode()) > NAME_BYTES_MAX:
        raise Invalid(f"A name of a file has at most {NAME_BYTES_MAX} bytes.", field=field)
    if name.startswith(UPLOAD_PREFIX):
        raise Invalid(f"Names that begin with {UPLOAD_PREFIX} are kept for uploads.", field=field)


def _is_control(char: str) -> bool:
    """Whether it controls a terminal, or is half of a character."""
    return char < " " or "\x7f" <= char < "\xa0" or "\ud800" <= char <= "\udfff"
