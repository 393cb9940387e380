"""Token texts and their digests."""

import re

from qvdnode.runtime.tokens import digest, new_token


def test_tokens_are_long_and_differ() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in tokens)


def test_a_digest_is_the_same_each_time_and_shows_nothing() -> None:
    assert digest("a") == digest("a") != digest("b")
    assert len(digest("\udcff")) == 32
