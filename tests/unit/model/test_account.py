import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.account import ACCOUNT_MAX, GROUPS, TAKEN, account_name


@pytest.mark.parametrize(
    ("login", "account"),
    [
        ("alice", "alice"),
        ("Alice.Smith", "alice.smith"),
        ("ana@corp.example", "ana_corp.example-a40437"),
        ("CORP\\Ana", "corp_ana-ac0b0f"),
        ("corp_ana", "corp_ana"),
        ("7of9", "u7of9-7f5ddf"),
        ("-rf", "u-rf-686c39"),
        ("root", "root-user"),
        ("sudo", "sudo-user"),
        ("docker", "docker-user"),
        ("", "u-e3b0c4"),
        ("jürgen", "j_rgen-19b720"),
    ],
)
def test_a_login_becomes_an_account(login: str, account: str) -> None:
    assert account_name(login) == account


@given(st.text())
def test_any_login_gives_a_valid_account_that_is_nobody_elses(login: str) -> None:
    account = account_name(login)
    assert re.fullmatch(r"[a-z_][a-z0-9_.-]*", account)
    assert len(account) <= ACCOUNT_MAX
    assert account not in TAKEN | GROUPS


def test_two_logins_have_two_accounts() -> None:
    logins = ["corp\\ana", "corp_ana", "corp@ana", "a" * 40, "a" * 41, "a" * 32]
    assert len({account_name(login) for login in logins}) == len(logins)
