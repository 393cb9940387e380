"""Requests to one registry: login by name and password or by token, redirects, limits of time."""

import io
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlencode, urljoin, urlsplit

import aiohttp

from qvdnode.image.core import oci, remote_address
from qvdnode.image.core.remote_address import Challenge
from qvdnode.model.errors import BadConfig, BadImage, Forbidden, Unavailable
from qvdnode.runtime.clock import Clock

CONNECT_LIMIT_S: Final = 10.0
SILENCE_LIMIT_S: Final = 30.0
ANSWER_LIMIT_S: Final = 300.0
"""For one request with what it sends; registries check a whole blob before they answer."""
RATE_WINDOW_S: Final = 30.0
RATE_MIN: Final = 8 * 1024
"""Bytes a second; a download that is slower over the window counts as cut off."""
REDIRECTS_MAX: Final = 5
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a registry."""

    host: str
    user: str = ""
    password: str = ""
    ca_file: Path | None = None
    """Authorities to trust in place of the system's."""
    plain_http: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request."""

    name: str
    """Of the registry."""
    what: str
    status: int
    headers: Mapping[str, str]
    """With names in lower case."""
    body: bytes

    def require(self, *expected: int) -> None:
        """Raise a FarmError that says why, unless the status is one of these."""
        if self.status in expected:
            return
        said = oci.error_text(self.body)
        why = f"{self.name} answers {self.status} to {self.what}{f': {said}' if said else ''}"
        if self.status in {401, 403}:
            raise Forbidden(
                f"{why}. `qvdnode image remote add` with --user and --password-file gives a login."
            )
        if self.status >= 500 or self.status == 429:
            raise Unavailable(f"{why}.")
        raise BadImage(why)


class RegistrySession:
    """The connections to a registry for the time of one command."""

    def __init__(self, access: Access, clock: Clock) -> None:
        """Raises BadConfig when the file of authorities is none."""
        self._access = access
        self._clock = clock
        self._ssl = _trust(access)
        self.name = access.host
        self.url = f"{'http' if access.plain_http else 'https'}://{access.host}"
        self._http: aiohttp.ClientSession | None = None
        self._header: str | None = None

    async def __aenter__(self) -> Self:
        """Open the pool of connections."""
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_LIMIT_S, sock_read=SILENCE_LIMIT_S
            ),
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Close it."""
        if self._http is not None:
            await self._http.close()

    async def ask(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request with its answer, which is small; raises Unavailable, Forbidden, BadImage."""
        async with self.stream(method, url, headers or {}, body) as answer:
            content = bytearray()
            async for chunk in self.chunks(answer, 64 * 1024):
                content += chunk
                if len(content) > oci.DOCUMENT_MAX:
                    raise BadImage(f"{self.name} sends a document that is too large")
            found = {name.lower(): value for name, value in answer.headers.items()}
            what = f"{method} {urlsplit(url).path}"
            return Answer(self.name, what, answer.status, found, bytes(content))

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request, whose answer is read by `chunks`; raises as `ask`."""
        async with self._sent(method, url, headers, body) as answer:
            if answer.status != 401:
                yield answer
                return
            asked = remote_address.challenge(answer.headers.get("WWW-Authenticate", ""))
        # A token is for some actions and for some minutes: another action asks for another one.
        self._header = await self._login(asked)
        async with self._sent(method, url, headers, body) as answer:
            yield answer

    async def chunks(self, answer: aiohttp.ClientResponse, size: int) -> AsyncIterator[bytes]:
        """The body; raises Unavailable when it breaks off, or comes too slowly."""
        began, window = self._clock.monotonic_s(), 0
        try:
            async for chunk in answer.content.iter_chunked(size):
                yield chunk
                window += len(chunk)
                now = self._clock.monotonic_s()
                if now - began >= RATE_WINDOW_S:
                    if window < RATE_MIN * (now - began):
                        raise Unavailable(f"{self.name} sends too slowly.")
                    began, window = now, 0
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise Unavailable(f"{self.name} broke off: {_why(error)}.") from error

    @asynccontextmanager
    async def _sent(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request over its redirects; our login goes to the registry alone."""
        if self._http is None:
            raise AssertionError("the session is not open")
        for _ in range(REDIRECTS_MAX):
            own = urlsplit(url).netloc == self._access.host
            login = {"Authorization": self._header} if own and self._header is not None else {}
            answer = await self._one(method, url, {**headers, **login}, body)
            if answer.status not in REDIRECTS or method not in {"GET", "HEAD"}:
                try:
                    yield answer
                finally:
                    answer.close()
                return
            url = urljoin(url, answer.headers.get("Location", ""))
            answer.close()
            self._require_safe(url)
        raise BadImage(f"{self.name} redirects too often")

    async def _one(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        if self._http is None:
            raise AssertionError("the session is not open")
        limit = aiohttp.ClientTimeout(
            total=ANSWER_LIMIT_S if body is not None else None,
            sock_connect=CONNECT_LIMIT_S,
            sock_read=SILENCE_LIMIT_S if body is None else ANSWER_LIMIT_S,
        )
        try:
            return await self._http.request(
                method, url, headers=headers, data=None if body is None else io.BytesIO(body),
                allow_redirects=False, ssl=self._ssl, timeout=limit,
            )  # fmt: skip
        except aiohttp.ClientConnectorCertificateError as error:
            raise Unavailable(
                f"The certificate of {self.name} is not trusted: {_why(error)}. `qvdnode image"
                " remote add --ca FILE` names the authority to trust."
            ) from error
        except (aiohttp.ClientError, TimeoutError, ConnectionError, ValueError) as error:
            raise Unavailable(f"{self.name} cannot be reached: {_why(error)}.") from error

    async def _login(self, asked: Challenge) -> str:
        access = self._access
        basic = aiohttp.encode_basic_auth(access.user, access.password) if access.user else None
        if not asked.bearer:
            if basic is None:
                raise Forbidden(
                    f"{self.name} wants a login: `qvdnode image remote add` takes --user and"
                    " --password-file."
                )
            return basic
        self._require_safe(asked.realm)
        words = {"service": asked.service, "scope": asked.scope}
        query = urlencode({name: value for name, value in words.items() if value})
        mark = "&" if "?" in asked.realm else "?"
        headers = {} if basic is None else {"Authorization": basic}
        answer = await self._one("GET", f"{asked.realm}{mark}{query}", headers, None)
        try:
            body = await answer.content.read(oci.DOCUMENT_MAX)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"{self.name} gives no token: {_why(error)}.") from error
        finally:
            answer.close()
        if answer.status != 200:
            raise Forbidden(f"{self.name} gives no token: it answers {answer.status}.")
        return f"Bearer {oci.token(body)}"

    def _require_safe(self, url: str) -> None:
        scheme = urlsplit(url).scheme
        if scheme != "https" and not (scheme == "http" and self._access.plain_http):
            raise BadImage(f"{self.name} leads to {url[:200]}, which is not encrypted")


def _trust(access: Access) -> ssl.SSLContext | bool:
    if access.plain_http:
        return True
    try:
        return ssl.create_default_context(cafile=access.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise BadConfig(f"{access.ca_file} has no certificates of authorities: {error}") from error


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "it says nothing for too long"
    return str(error) or type(error).__name__
