"""What stands for an account."""

from qvdnode.auth.core.login_source import DIGEST_BYTES, account_digest, account_name


def test_an_account_is_a_login_in_a_tenant() -> None:
    assert account_name("alice", "acme") == "alice@acme"


def test_digests_differ_by_account_and_by_secret_and_take_any_name() -> None:
    accounts = ["alice@acme", "alice@default", "\udcff", "a" * 10_000]
    digests = {account_digest(account, secret) for account in accounts for secret in (b"1", b"2")}
    assert len(digests) == 2 * len(accounts)
    assert {len(digest) for digest in digests} == {DIGEST_BYTES}
