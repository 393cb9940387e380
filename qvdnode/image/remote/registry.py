"""A registry as a remote, by the HTTP API of the OCI distribution specification.

Transfers go on where they broke off: a download by a range, an upload after what the registry says
that it has. One that sends nothing for a while, or less than a least rate, counts as cut off.
"""

import asyncio
from pathlib import Path
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from qvdnode.image.core import oci, remote_address
from qvdnode.image.core.oci import Blob
from qvdnode.image.remote.blob_files import check_blob
from qvdnode.image.remote.ports import Count
from qvdnode.image.remote.registry_session import Answer, RegistrySession
from qvdnode.image.store.repository import told
from qvdnode.model.errors import BadImage, Unavailable
from qvdnode.runtime.clock import Clock

UPLOAD_STEP: Final = 8 << 20
READ_STEP: Final = 256 * 1024
ATTEMPTS: Final = 5
"""In a row without a byte more."""
PAUSE_S: Final = 0.5
TAGS_PAGE: Final = 1_000
TAGS_MAX: Final = 100_000


class RegistryPlace:
    """Satisfies ports.Place with a repository of a registry."""

    def __init__(self, session: RegistrySession, repository: str, clock: Clock) -> None:
        self._session = session
        self._base = f"{session.url}/v2/{repository}"
        self._clock = clock

    async def tags(self) -> list[str]:
        """As Place."""
        found: list[str] = []
        url = f"{self._base}/tags/list?n={TAGS_PAGE}"
        while url:
            answer = await self._session.ask("GET", url)
            if answer.status == 404:
                return found
            answer.require(200)
            page = oci.tag_list(answer.body)
            found += page
            # Some registries give fewer than were asked for, and a link when there are more.
            more = "link" in answer.headers and page and len(found) < TAGS_MAX
            url = f"{self._base}/tags/list?n={TAGS_PAGE}&last={quote(page[-1])}" if more else ""
        return found

    async def document(self, tag: str) -> bytes | None:
        """As Place."""
        answer = await self._session.ask(
            "GET", f"{self._base}/manifests/{tag}", headers={"Accept": oci.MANIFEST}
        )
        if answer.status == 404:
            return None
        answer.require(200)
        told_digest = answer.headers.get("docker-content-digest", "").removeprefix("sha256:")
        if told_digest and told_digest != oci.digest_of(answer.body):
            raise BadImage(f"{self._session.name} sent another document than it says for {tag}")
        return answer.body

    async def put_document(self, raw: bytes, tag: str) -> None:
        """As Place."""
        answer = await self._session.ask(
            "PUT", f"{self._base}/manifests/{tag}", raw, {"Content-Type": oci.MANIFEST}
        )
        answer.require(201)

    async def has(self, blob: Blob) -> bool:
        """As Place."""
        answer = await self._session.ask("HEAD", self._blob(blob))
        if answer.status == 404:
            return False
        answer.require(200)
        length = answer.headers.get("content-length", "")
        return length == "" or length == str(blob.size)

    async def put(self, blob: Blob, source: Path, count: Count) -> None:
        """As Place."""
        answer = await self._session.ask("POST", f"{self._base}/blobs/uploads/")
        answer.require(202)
        place, done, failures = self._location(answer), 0, 0
        while done < blob.size:
            try:
                place, now = await self._upload(place, blob, source, done)
            except Unavailable:
                failures += 1
                if failures >= ATTEMPTS:
                    raise
                await self._clock.sleep(PAUSE_S * 2**failures)
                place, now = await self._asked(place)
            if now > done:
                failures = 0
            count(now - done)
            done = now
        mark = "&" if "?" in place else "?"
        ended = await self._session.ask("PUT", f"{place}{mark}digest=sha256%3A{blob.digest}")
        ended.require(201)

    async def get(self, blob: Blob, target: Path, count: Count) -> None:
        """As Place."""
        failures = 0
        with told("a part of an image cannot be written"):
            while True:
                before = await asyncio.to_thread(_size, target)
                if before >= blob.size:
                    break
                try:
                    await self._download(blob, target, before, count)
                except Unavailable:
                    after = await asyncio.to_thread(_size, target)
                    failures = 0 if after > before else failures + 1
                    if failures >= ATTEMPTS:
                        raise
                    await self._clock.sleep(PAUSE_S * 2**failures)
            await asyncio.to_thread(check_blob, blob, target, self._session.name)

    async def _download(self, blob: Blob, target: Path, start: int, count: Count) -> None:
        headers = {"Range": f"bytes={start}-"} if start else {}
        async with self._session.stream("GET", self._blob(blob), headers) as answer:
            if answer.status == 404:
                raise BadImage(f"{self._session.name} lacks a part of it: {blob.digest}")
            if answer.status not in {200, 206}:
                raise Unavailable(f"{self._session.name} answers {answer.status} for a part of it.")
            offset = start if answer.status == 206 else 0
            if start and not offset:
                count(-start)
            with await asyncio.to_thread(target.open, "r+b" if offset else "wb") as file:
                file.seek(offset)
                done = offset
                async for chunk in self._session.chunks(answer, READ_STEP):
                    done += len(chunk)
                    if done > blob.size:
                        file.truncate(0)
                        raise BadImage(f"{self._session.name} sends more than it says")
                    await asyncio.to_thread(file.write, chunk)
                    count(len(chunk))
        if done < blob.size:
            raise Unavailable(f"{self._session.name} broke off in the middle of a part.")

    async def _upload(self, place: str, blob: Blob, source: Path, start: int) -> tuple[str, int]:
        """Send one step; returns where to go on, and how much is there."""
        data = await asyncio.to_thread(_part, source, start)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"{start}-{start + len(data) - 1}",
        }
        if not data:
            raise BadImage(f"what is to be sent has changed meanwhile: {blob.digest}")
        answer = await self._session.ask("PATCH", place, data, headers)
        if answer.status == 416:
            return await self._asked(place)
        answer.require(202)
        return self._location(answer), start + len(data)

    async def _asked(self, place: str) -> tuple[str, int]:
        """Where an upload goes on, as the registry says."""
        answer = await self._session.ask("GET", place)
        answer.require(204, 202)
        at = answer.headers.get("range")
        place = self._location(answer) if "location" in answer.headers else place
        return place, 0 if at is None else remote_address.received(at)

    def _location(self, answer: Answer) -> str:
        place = urljoin(self._base, answer.headers.get("location", ""))
        if urlsplit(place).netloc != urlsplit(self._base).netloc:
            raise BadImage(f"{self._session.name} sends uploads elsewhere, which is not done")
        return place

    def _blob(self, blob: Blob) -> str:
        return f"{self._base}/blobs/sha256:{blob.digest}"


def _part(source: Path, start: int) -> bytes:
    with told("what is to be sent cannot be read"), source.open("rb") as stream:
        stream.seek(start)
        return stream.read(UPLOAD_STEP)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
