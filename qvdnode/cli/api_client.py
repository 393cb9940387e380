"""Calls a node's REST API: pins its certificate, sends the token, turns problems into errors."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

import aiohttp

from qvdnode.cli.api_answers import FIRST_BAD_STATUS, Json, content, import_line
from qvdnode.cli.first_answer import first_answer
from qvdnode.cli.node_address import digest_of
from qvdnode.cli.saved_login import SavedLogin
from qvdnode.client.core.certificate_refusal import untrusted
from qvdnode.client.trust import authorities
from qvdnode.model.errors import FarmError, Forbidden, Unavailable
from qvdnode.runtime.os_errors import connect_error_text
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.wire.server_sent_events import BadStream, EventReader, SentEvent

PREFIX: Final = "/api/v1"
CONNECT_LIMIT_S: Final = 10.0
ANSWER_LIMIT_S: Final = 30.0
WAIT_LIMIT_S: Final = 600.0
"""A start that waits in a queue may take minutes, and so may the unpacking of an image."""
EVENTS_LIMIT_S: Final = 60.0
"""A node that has nothing to tell says so every 15 s."""
GIVING_UP_S: Final = 0.05
LINE_MAX_BYTES: Final = 64 * 1024
PAGE: Final = 500
NOT_SENT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""No connection was made."""


class ApiClient:
    """One node's API for the time of a command."""

    def __init__(self, login: SavedLogin) -> None:
        here = (login.url + PREFIX, _trust(login, login.fingerprint))
        others = ((node.url + PREFIX, _trust(login, node.fingerprint)) for node in login.others)
        self._nodes = [here, *others]
        """The nodes of the farm with what they are recognised by; the one to ask first."""
        self._is_chosen = len(self._nodes) == 1
        """Whether the first of them has answered."""
        self._token = login.token
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the connection pool."""
        self._http = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {self._token}"},
            read_bufsize=LINE_MAX_BYTES,
        )
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Close it."""
        if self._http is not None:
            await self._http.close()
        if error is not None:
            # aiohttp closes an interrupted connection in the background; ignore its error.
            await asyncio.sleep(GIVING_UP_S)

    async def get(self, path: str, **query: object) -> Json:
        """Return the object at the path; raises Refused, Unavailable, or Forbidden: a new pin."""
        return await self.call("GET", path, query=query)

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        query: Mapping[str, object] | None = None,
    ) -> Json:
        """Send one request; return the JSON answer, {} if it has none. Raises like `get`."""
        asked = _plain(query or {})
        limit_s = WAIT_LIMIT_S if "wait" in asked else ANSWER_LIMIT_S
        first_error: FarmError | None = None
        for _ in range(len(self._nodes)):
            await self._choose()
            url, trust = self._nodes[0]
            try:
                async with self._session().request(
                    method,
                    url + path,
                    json=body,
                    params=asked,
                    timeout=_patience(limit_s),
                    ssl=trust,
                ) as answer:
                    return content(answer.status, await answer.read())
            except (aiohttp.ClientError, TimeoutError) as error:
                first_error = first_error or _unreachable(error)
                # only what has surely not been done there may be asked for elsewhere
                if not (method == "GET" or isinstance(error, NOT_SENT)):
                    raise first_error from error
                self._nodes.append(self._nodes.pop(0))
                self._is_chosen = False
        raise first_error or AssertionError("a login has a node")

    async def items(self, path: str, *, limit: int | None = None, **query: object) -> list[Json]:
        """Return the items of a list from all its pages, at most `limit` of them."""
        found: list[Json] = []
        after: int | str | None = 0
        while after is not None and (limit is None or len(found) < limit):
            wanted = PAGE if limit is None else min(PAGE, limit - len(found))
            page = await self.get(path, limit=wanted, after=after, **query)
            found += page["items"]
            after = page["next_after"]
        return found

    async def events(
        self, *, last_id: str | None = None, **query: object
    ) -> AsyncIterator[SentEvent]:
        """Yield what a node tells, until it ends the stream; raises like `get`."""
        await self.get("/session")  # finds a node that answers
        url, trust = self._nodes[0]
        reader = EventReader()
        try:
            async with self._session().get(
                f"{url}/events",
                ssl=trust,
                params=_plain(query),
                headers={} if last_id is None else {"Last-Event-ID": last_id},
                timeout=_patience(EVENTS_LIMIT_S),
            ) as answer:
                if answer.status >= FIRST_BAD_STATUS:
                    content(answer.status, await answer.read())
                async for piece in answer.content.iter_any():
                    for event in reader.feed(piece):
                        yield event
        except BadStream as error:
            raise Unavailable(f"The node sent something else than events: {error}.") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(error) from error

    @contextlib.asynccontextmanager
    async def terminal(self, path: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """The WebSocket at the path of a node, not of its API; raises like `get`."""
        await self.get("/session")  # finds a node that answers
        url, trust = self._nodes[0]
        at = url.removesuffix(PREFIX) + path
        try:
            async with self._session().ws_connect(at, ssl=trust, heartbeat=20.0) as socket:
                yield socket
            await asyncio.sleep(GIVING_UP_S)  # aiohttp closes its connection in the background
        except aiohttp.WSServerHandshakeError as error:
            async with self._session().get(at, ssl=trust, timeout=_patience(10.0)) as answer:
                content(answer.status, await answer.read())  # says why
            raise Unavailable("The node refused the console; try again.") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(error) from error

    async def content(self, image: str, revision: str) -> AsyncIterator[bytes]:
        """Yield the tar of a version of an image; raises like `get`."""
        await self.get("/session")  # finds a node that answers
        url, trust = self._nodes[0]
        try:
            async with self._session().get(
                url + image_path(image) + "/content",
                ssl=trust,
                params={"revision": revision},
                timeout=_patience(WAIT_LIMIT_S),
            ) as answer:
                if answer.status >= FIRST_BAD_STATUS:
                    content(answer.status, await answer.read())
                async for piece in answer.content.iter_any():
                    yield piece
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(error) from error

    async def import_image(
        self,
        name: str,
        tar: AsyncIterator[bytes],
        *,
        progress: Callable[[int], None],
        **query: object,
    ) -> Json:
        """Send a tar stream as a new version of an image; return the version.

        The query is that of the operation. Raises as `get`, and what `tar` raises.
        """
        failed: FarmError | None = None

        async def body() -> AsyncIterator[bytes]:
            nonlocal failed
            try:
                async for chunk in tar:
                    yield chunk
            except FarmError as error:
                # The answer may have begun: nothing else would end the waiting for its last line.
                failed = error
                scope.end_now()
                raise

        try:
            async with TimeLimit(None) as scope:
                return await self._imported(name, body(), query, progress)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise failed or _unreachable(error) from error

    async def _imported(
        self,
        name: str,
        body: AsyncIterator[bytes],
        query: Mapping[str, object],
        progress: Callable[[int], None],
    ) -> Json:
        url, trust = self._nodes[0]
        async with self._session().post(
            url + image_path(name) + "/versions",
            ssl=trust,
            data=body,
            params=_plain(query),
            headers={"Content-Type": "application/x-tar"},
            timeout=_patience(WAIT_LIMIT_S),
        ) as answer:
            if answer.status >= FIRST_BAD_STATUS:
                return content(answer.status, await answer.read())
            return await _outcome(answer, progress)

    async def _choose(self) -> None:
        """Put a node that answers first: the others are asked beside one that is silent.

        When none answers the order stays, and the first one's request tells why.
        """
        if self._is_chosen:
            return
        self._is_chosen = True
        questions = [partial(self._is_up, *node) for node in self._nodes]
        first = await first_answer(questions)
        if first:
            self._nodes.insert(0, self._nodes.pop(first))

    async def _is_up(self, url: str, trust: aiohttp.Fingerprint | ssl.SSLContext) -> None:
        at = url.removesuffix(PREFIX) + "/healthz"
        patience = aiohttp.ClientTimeout(total=CONNECT_LIMIT_S)
        async with self._session().get(at, ssl=trust, timeout=patience) as answer:
            await answer.read()

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise RuntimeError("use the client in `async with`")
        return self._http


def _trust(login: SavedLogin, fingerprint: str | None) -> aiohttp.Fingerprint | ssl.SSLContext:
    if fingerprint is None:
        return authorities(None if login.ca is None else Path(login.ca))
    return aiohttp.Fingerprint(digest_of(fingerprint))


def _patience(silence_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_LIMIT_S, sock_read=silence_s)


def image_path(name: str) -> str:
    """Return the path of an image; no name can change the path otherwise."""
    return f"/images/{quote(name, safe='')}"


def _plain(query: Mapping[str, object]) -> dict[str, str]:
    """Return the query as text, without the parameters that are None."""
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in query.items()
        if value is not None
    }


async def _outcome(answer: aiohttp.ClientResponse, progress: Callable[[int], None]) -> Json:
    """Read all lines of an import; the last line has the result."""
    version: Json | None = None
    while line := await answer.content.readline():
        done, placed = import_line(line)
        version = placed or version
        if done is not None:
            progress(done)
    if version is None:
        raise Unavailable("The node closed the connection before the import was complete.")
    return version


def _unreachable(error: Exception) -> FarmError:
    match error:
        case aiohttp.ServerFingerprintMismatch():
            return Forbidden(
                "The node shows another certificate than the one you trusted: nothing was sent."
                " If the node was set up anew, log in again: qvd login URL"
            )
        case aiohttp.ClientConnectorCertificateError(
            certificate_error=ssl.SSLCertVerificationError() as refusal
        ):
            node = f"{error.host}:{error.port}"
            return untrusted(node, refusal.verify_code, refusal.verify_message)
        case aiohttp.ClientConnectorError():
            why = connect_error_text(error.os_error)
            return Unavailable(f"{error.host}:{error.port} cannot be reached: {why}.")
        case TimeoutError():
            return Unavailable("The node did not answer in time; try again.")
        case _:
            return Unavailable(f"The connection to the node broke: {error}.")
