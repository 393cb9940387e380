"""Authorization headers as clients write them."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.errors import Unauthenticated
from qvdnode.wire.qvd_credentials import BasicLogin, BearerToken, parse_authorization


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("alice:secret", BasicLogin("alice", "secret")),
        ("alice@acme:a:b:", BasicLogin("alice@acme", "a:b:")),
        ("alice:", BasicLogin("alice", "")),
        ("zoë:clé", BasicLogin("zoë", "clé")),
    ],
)
def test_basic(text: str, wanted: BasicLogin) -> None:
    assert parse_authorization("Basic " + encoded(text)) == wanted


def test_an_old_code_page_is_read_as_latin_1() -> None:
    header = "Basic " + base64.b64encode("zoë:clé".encode("latin-1")).decode()
    assert parse_authorization(header) == BasicLogin("zoë", "clé")


def test_a_bearer_token_comes_encoded_and_may_hold_a_line_break() -> None:
    assert parse_authorization("bearer " + encoded("tok\n")) == BearerToken("tok")


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic !!!", "Basic " + encoded("no colon"), "Basic " + encoded(":x"),
     "Bearer " + encoded(" "), "Digest x", "Basic " + encoded("a\0:b")],
)  # fmt: skip
def test_the_rest_is_refused(header: str) -> None:
    with pytest.raises(Unauthenticated):
        parse_authorization(header)


@given(st.text())
def test_anything_is_parsed_or_refused(header: str) -> None:
    with contextlib.suppress(Unauthenticated):
        parse_authorization(header)


def test_secrets_do_not_show() -> None:
    assert "secret" not in repr(BasicLogin("a", "secret")) + repr(BearerToken("secret"))
