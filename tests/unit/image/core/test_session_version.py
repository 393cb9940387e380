import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.image.core import session_version
from qvdnode.model.errors import BadImage


def test_version_1_is_known() -> None:
    assert session_version.check(b"#!/bin/sh\n# qvd-session-version: 1\nexit 0\n") == 1


@pytest.mark.parametrize(
    "script",
    [
        b"",
        b"#!/bin/sh\n",
        b"# qvd-session-version: 1\n",
        b"\x7fELF\n# qvd-session-version: 1\n",
        b"#!/bin/sh\n# qvd-session-version: one\n",
        b"#!/bin/sh\n\n# qvd-session-version: 1\n",
    ],
)
def test_a_script_that_does_not_say_is_refused(script: bytes) -> None:
    with pytest.raises(BadImage, match="does not say"):
        session_version.check(script)


def test_an_unknown_version_is_refused_by_its_number() -> None:
    with pytest.raises(BadImage, match=r"version 2 .* knows 1"):
        session_version.check(b"#!/bin/sh\n# qvd-session-version: 2\n")


@given(
    st.lists(
        st.sampled_from([b"#!", b"/bin/sh", b"\n", b"# qvd-session-version:", b" ", b"1", b"2"])
    )
)
def test_any_script_is_of_a_known_version_or_refused(words: list[bytes]) -> None:
    with contextlib.suppress(BadImage):
        assert session_version.check(b"".join(words)) in session_version.KNOWN
