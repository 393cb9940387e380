"""Who sent a request; tests/integration/admin/routes/test_browser_logins.py has whole requests."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from aiohttp import web

from qvdnode.admin.visitor import (
    bearer_token,
    operator_visitor,
    require_own_page,
    set_cookies,
    user_of,
)
from qvdnode.model.errors import Forbidden, Unauthenticated


@dataclass(frozen=True)
class Asking:
    """As much of a request as is looked at before anything is looked up."""

    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    method: str = "POST"
    app: dict[object, Any] = field(default_factory=dict)


def asking(**headers: str) -> Any:
    return cast("Any", Asking({name.replace("_", "-"): text for name, text in headers.items()}))


@pytest.mark.parametrize("header", ["", "Bearer", "Basic YTpi", "Bearer  ", f"Bearer {'x' * 257}"])
def test_other_headers_are_no_tokens(header: str) -> None:
    with pytest.raises(Unauthenticated):
        bearer_token(asking(Authorization=header))


def test_a_socket_of_another_origin_is_refused() -> None:
    require_own_page(asking(Host="node1:8444", Origin="https://node1:8444"))
    with pytest.raises(Forbidden, match="API token"):
        require_own_page(asking(Host="node1:8444", Origin="https://evil.example"))


async def test_nobody_is_nobody() -> None:
    assert await user_of(asking()) is None
    assert await user_of(cast("Any", Asking(cookies={"__Host-qvd-my": "ñ"}))) is None


async def test_a_cookie_of_a_foreign_page_is_not_even_looked_up() -> None:
    foreign = Asking({"Sec-Fetch-Site": "cross-site"}, {"__Host-qvd": "key"})
    with pytest.raises(Forbidden):
        await operator_visitor(cast("Any", foreign))


def test_a_removed_cookie_has_the_words_of_the_one_that_was_set() -> None:
    answer = web.Response()
    set_cookies(answer, {"__Host-qvd": None})
    assert str(answer.cookies).endswith(
        '__Host-qvd=""; HttpOnly; Max-Age=0; Path=/; SameSite=Strict; Secure'
    )
