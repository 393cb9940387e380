"""Logins with and without tenants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.auth.login_name import LoginName, parse_login


@pytest.mark.parametrize(
    ("text", "login", "tenant"),
    [
        ("alice", "alice", "default"),
        ("alice@acme", "alice", "acme"),
        ("alice#acme", "alice", "acme"),
        ("Alice@ACME", "alice", "acme"),
        ("alice@mail.example#acme", "alice@mail.example", "acme"),
        ("a#b@acme", "a#b", "acme"),
        ("alice@", "alice", ""),
        ("@acme", "", "acme"),
        (" alice ", "alice", "default"),
    ],
)
def test_the_last_separator_counts(text: str, login: str, tenant: str) -> None:
    name = parse_login(text, "default")
    assert (name.login, name.tenant) == (login, tenant)


def test_a_login_with_a_domain_may_be_one_of_the_default_tenant() -> None:
    assert parse_login("Ana@Corp.example", "default") == LoginName(
        "ana", "corp.example", "ana@corp.example"
    )
    assert parse_login("CORP\\Ana", "default") == LoginName("corp\\ana", "default")
    assert parse_login("ana@corp.example#acme", "default").whole == ""


@given(st.text())
def test_a_tenant_never_has_a_separator(text: str) -> None:
    assert not {"@", "#"} & set(parse_login(text, "default").tenant)
