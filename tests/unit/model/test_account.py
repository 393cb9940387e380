import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.account import ACCOUNT_MAX, TAKEN, account_name


@pytest.mark.parametrize(
    ("login", "account"),
    [
        ("alice", "alice"),
        ("Alice.Smith", "alice.smith"),
        ("alice@sales", "alice_sales"),
        ("7of9", "u7of9"),
        ("-rf", "u-rf"),
        ("root", "root-user"),
        ("", "u"),
        ("jürgen", "j_rgen"),
    ],
)
def test_a_login_becomes_an_account(login: str, account: str) -> None:
    assert account_name(login) == account


@given(st.text())
def test_any_login_gives_a_valid_account_that_is_nobody_elses(login: str) -> None:
    account = account_name(login)
    assert re.fullmatch(r"[a-z_][a-z0-9_.-]*", account)
    assert len(account) <= ACCOUNT_MAX
    assert account not in TAKEN
