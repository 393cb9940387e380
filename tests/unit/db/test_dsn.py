"""A DSN taken apart."""

import pytest

from qvdnode.db.dsn import host_and_port, single_host_dsns
from qvdnode.model.errors import BadConfig


@pytest.mark.parametrize(
    ("dsn", "singles"),
    [
        ("postgresql://h/d", ["postgresql://h:5432/d"]),
        ("postgres://u:p%40w@h:6/d", ["postgres://u:p%40w@h:6/d"]),
        (
            "postgresql://u:p@a:1,b,c:3/d?sslmode=require&target_session_attrs=any",
            [
                "postgresql://u:p@a:1/d?sslmode=require",
                "postgresql://u:p@b:5432/d?sslmode=require",
                "postgresql://u:p@c:3/d?sslmode=require",
            ],
        ),
        ("postgresql://[::1]:7,[::2]/d", ["postgresql://[::1]:7/d", "postgresql://[::2]:5432/d"]),
        ("postgresql://a,b/d?port=1,2", ["postgresql://a:1/d", "postgresql://b:2/d"]),
        ("postgresql://u@/d?host=/run/pg", ["postgresql://u@/d?host=/run/pg&port=5432"]),
        (
            "postgresql:///d?host=/run/pg,b&port=9",
            ["postgresql:///d?host=/run/pg&port=9", "postgresql://b:9/d"],
        ),
    ],
)
def test_each_host_gets_a_dsn_of_its_own(dsn: str, singles: list[str]) -> None:
    assert list(single_host_dsns(dsn)) == singles


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        "mysql://h/d",
        "postgresql://h",
        "postgresql://h/",
        "postgresql:///d",
        "postgresql://a,,b/d",
        "postgresql://a,b/d?port=1,2,3",
        "postgresql://[::1/d",
    ],
)
def test_nonsense_is_refused_by_the_key(dsn: str) -> None:
    with pytest.raises(BadConfig) as caught:
        single_host_dsns(dsn)
    assert caught.value.key == "database.dsn"


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("postgresql://u:secret@h:5432/d", "h:5432"),
        ("postgresql://u:secret@/d?host=/run/pg&port=5432", "/run/pg:5432"),
    ],
)
def test_a_place_shows_no_password(dsn: str, shown: str) -> None:
    assert host_and_port(dsn) == shown
