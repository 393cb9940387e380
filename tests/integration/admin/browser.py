"""A browser in tests: it keeps one cookie, and sends what a browser says about its requests."""

from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from io import BytesIO
from typing import Any

from qvdnode.admin.endpoint import BYTES
from tests.integration.admin.checked_api import CheckedApi, Said

OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


@dataclass(slots=True)
class Browser:
    """One browser at the application under test."""

    api: CheckedApi
    """Without a token."""
    headers: dict[str, str] = field(default_factory=lambda: dict(OWN_PAGE))
    cookies: dict[str, str] = field(default_factory=dict)

    async def call(
        self, method: str, path: str, body: object = None, *, status: int, **headers: str
    ) -> Said:
        """One request with the cookies; keeps those of the answer. Bytes are sent as they are."""
        sent = {**self.headers, **{name.replace("_", "-"): text for name, text in headers.items()}}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={key}" for name, key in self.cookies.items())
        if isinstance(body, bytes):
            sent["Content-Type"] = BYTES
            data = BytesIO(body)
            said = await self.api.call(method, path, data=data, status=status, headers=sent)
        else:
            said = await self.api.call(method, path, body, status=status, headers=sent)
        for name, morsel in SimpleCookie(said.headers.get("Set-Cookie", "")).items():
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value
        return said


def browser(api: CheckedApi, **cookies: Any) -> Browser:
    """A browser that is not logged in."""
    return Browser(CheckedApi(api.client, None), cookies=dict(cookies))
