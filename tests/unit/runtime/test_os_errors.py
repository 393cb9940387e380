"""Why nobody answered, in words."""

import errno
import socket

import pytest

from qvdnode.runtime.os_errors import connect_error_text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 8443)"),
            "Connection refused",
        ),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (
            OSError("Multiple exceptions: [Errno 111] Connect call failed"),
            "none of its addresses answers",
        ),
    ],
)
def test_the_reason_is_told_without_the_librarys_words(error: OSError, words: str) -> None:
    assert connect_error_text(error) == words
