"""Versions of Debian packages."""

import pytest

from qvdnode.image.core.debian_version import _Text, is_older


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.0", "1.1"),
        ("1.9", "1.10"),
        ("1.0~rc1", "1.0"),
        ("1.0~~", "1.0~"),
        ("1.0", "1.0a"),
        ("1.0a", "1.0+b"),
        ("9.0", "1:0.1"),
        ("1.0-1", "1.0-2"),
        ("3.0.11-1~deb12u1", "3.0.11-1~deb12u2"),
        ("3.0.11-1~deb12u2", "3.0.11-1"),
        ("2.36-9+deb12u9", "2.36-9+deb12u10"),
        ("1.0", "1.0-1"),
        ("1.0+dfsg", "1.0+ds"),
    ],
)
def test_versions_are_ordered_as_dpkg_does(older: str, newer: str) -> None:
    assert is_older(older, newer)
    assert not is_older(newer, older)
    assert not is_older(newer, newer)


def test_equal_texts_are_one() -> None:
    assert hash(_Text("a")) == hash(_Text("a"))
    assert _Text("a") != "a"
    assert not _Text("a") < _Text("a")
    assert not is_older("odd:1", "0:1")
