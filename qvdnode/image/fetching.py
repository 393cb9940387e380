"""Brings the images that desktops of this node start from to it, from nodes that have them.

One fetch serves all that wait for the same commit, and goes on when they do not wait any more.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from qvdnode.host import disk_space
from qvdnode.image.layout import Layout
from qvdnode.image.ports import CommitSource, VersionCatalogue
from qvdnode.image.settings import ImageSettings
from qvdnode.image.versions import ImageVersions, VersionCommit
from qvdnode.model.errors import (
    BadImage,
    FarmError,
    HostFailed,
    NodeFull,
    NotFound,
    Unavailable,
)
from qvdnode.model.ids import ImageId, NodeId
from qvdnode.runtime.clock import Clock
from qvdnode.runtime.supervise import Supervisor
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.telemetry.metrics import Counter, Gauge

log = logging.getLogger(__name__)

FETCHES = Counter("qvdnode_image_fetches", "Images fetched from other nodes", ["outcome"])
RUNNING = Gauge("qvdnode_image_fetches_running", "Images that are being fetched now")
AT_ONCE: Final = 2
ROUNDS: Final = 3
"""How often all nodes are asked, while each round brings something."""
PAUSE_S: Final = 1.0
TELL_EVERY_S: Final = 1.0
_MIB: Final = 1 << 20

Holders = Callable[[ImageId, int], Sequence[NodeId]]
"""Nodes to ask for a version, the likeliest first."""
Tell = Callable[[str], None]
"""Shows who waits one sentence."""


@dataclass(slots=True)
class Fetch:
    """One fetch that is under way. Satisfies image.ports.PullProgress."""

    made: VersionCommit
    room_mib: Callable[[], int]
    """What may be written, in a thread or on the loop: it only asks the file system."""
    total_bytes: int = 0
    received_bytes: int = 0
    before_bytes: int = 0
    """What earlier attempts brought."""
    error: FarmError | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self, total_bytes: int) -> None:
        """As PullProgress."""
        needed_mib, room_mib = -(-total_bytes // _MIB), self.room_mib()
        if needed_mib > room_mib:
            raise NodeFull(
                f"the image {self.made.image} is not on this node, and the disk has no room for it:"
                f" it needs {needed_mib} MiB more, and {max(room_mib, 0)} MiB may be used"
            )
        self.before_bytes = self.received_bytes
        self.total_bytes = self.before_bytes + total_bytes

    def step(self, received_bytes: int) -> None:
        """As PullProgress."""
        self.received_bytes = self.before_bytes + received_bytes

    @property
    def sentence(self) -> str:
        """How far it is, for who waits."""
        what = f"Fetching the image {self.made.image} from another node"
        if not self.total_bytes:
            return what
        done, whole = self.received_bytes // _MIB, -(-self.total_bytes // _MIB)
        return f"{what}: {min(done, whole)} of {whole} MiB"


class ImageFetcher:
    """Satisfies vm.ports.ImageSupply; `run` must be running."""

    def __init__(  # noqa: PLR0913 - each is something that a fetch needs
        self,
        settings: ImageSettings,
        versions: ImageVersions,
        catalogue: VersionCatalogue,
        source: CommitSource,
        holders: Holders,
        reserved_mib: Callable[[], Awaitable[int]],
        clock: Clock,
    ) -> None:
        """`reserved_mib` is what must stay free for desktops."""
        self._settings = settings
        self._layout = Layout(settings.state_dir)
        self._versions = versions
        self._catalogue = catalogue
        self._source = source
        self._holders = holders
        self._reserved_mib = reserved_mib
        self._clock = clock
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._fetches: dict[str, Fetch] = {}
        self._tasks: Supervisor | None = None

    async def run(self) -> None:
        """Own the fetches, until cancelled."""
        async with Supervisor("image-fetches") as self._tasks:
            await asyncio.Event().wait()

    def running(self) -> list[Fetch]:
        """The fetches that are under way."""
        return list(self._fetches.values())

    async def bring(self, image_id: ImageId, version: int, tell: Tell) -> None:
        """Return once this node has that version of the image.

        Raises BadImage when no node that can be reached has it, NodeFull, Unavailable, NotFound,
        HostFailed. Cancelling it leaves the fetch running.
        """
        if await asyncio.to_thread(self._versions.has, image_id, version):
            return
        name, commit = await self._catalogue.version_commit(image_id, version)
        if commit is None:
            raise BadImage(
                f"version {version} of the image {name} is not on this node, and no node has told"
                " the farm what is in it: start the node that has it with this version of qvdnode"
            )
        made = VersionCommit(name, commit)
        if await asyncio.to_thread(self._versions.take, image_id, version, made):
            return
        # One fetch for all who wait. It is a task of its own, so it goes on when they give up: the
        # next start finds more of the image here.
        fetch = self._fetches.get(commit) or self._begin(image_id, version, made)
        told = ""
        while not fetch.done.is_set():
            if fetch.sentence != told:
                told = fetch.sentence
                tell(told)
            with suppress(TimeoutError):
                async with TimeLimit(TELL_EVERY_S):
                    await fetch.done.wait()
        if fetch.error is not None:
            raise fetch.error
        # Another image may have the same commit: its version is noted here.
        await asyncio.to_thread(self._versions.take, image_id, version, made)

    def _begin(self, image_id: ImageId, version: int, made: VersionCommit) -> Fetch:
        if self._tasks is None:
            raise Unavailable("This node is starting or stopping; try again soon.")
        fetch = Fetch(made, lambda: 0)
        self._fetches[made.commit] = fetch
        _ = self._tasks.isolated(f"image-{made.commit}", self._run(fetch, image_id, version))
        return fetch

    async def _run(self, fetch: Fetch, image_id: ImageId, version: int) -> None:
        RUNNING.inc()
        began_s = self._clock.monotonic_s()
        fetch.error = HostFailed("The fetch of the image was ended.")
        try:
            async with self._slots:
                await self._fetch(fetch, image_id, version)
            fetch.error = None
        except FarmError as error:
            fetch.error = error
        finally:
            RUNNING.dec()
            FETCHES.labels("done" if fetch.error is None else fetch.error.code).inc()
            # Removed before the waiting ones are woken: one who tries again at once begins a new
            # fetch.
            del self._fetches[fetch.made.commit]
            fetch.done.set()
            facts = {
                "image": fetch.made.image,
                "version": version,
                "commit": fetch.made.commit,
                "bytes": fetch.received_bytes,
                "seconds": round(self._clock.monotonic_s() - began_s, 3),
            }
            if fetch.error is None:
                log.info("image_fetched", extra=facts)
            else:
                log.warning("image_not_fetched", extra={**facts, "because": str(fetch.error)})

    async def _fetch(self, fetch: Fetch, image_id: ImageId, version: int) -> None:
        promised = await self._reserved_mib()
        kept_mib = self._settings.free_floor_mib + promised
        # Read anew at each node: what was received has taken room meanwhile.
        folder = self._layout.images
        fetch.room_mib = lambda: disk_space.free_mib(folder) - kept_mib
        problems: dict[NodeId, str] = {}
        for attempt in range(ROUNDS):
            if attempt:
                await self._clock.sleep(PAUSE_S)
            before = fetch.received_bytes
            for node_id in self._holders(image_id, version):
                try:
                    await self._from(node_id, fetch, image_id, version)
                except (Unavailable, NotFound, BadImage) as error:
                    problems[node_id] = str(error)
                    continue
                return
            # Another round is worth it only while rounds bring something.
            if attempt and fetch.received_bytes == before:
                break
        raise BadImage(self._nobody(fetch.made, version, problems))

    async def _from(self, node_id: NodeId, fetch: Fetch, image_id: ImageId, version: int) -> None:
        made, store = fetch.made, self._versions.store
        partial = await self._source.pull(node_id, store, made.commit, fetch)
        lacking = partial.missing()
        if lacking:
            raise BadImage(f"node {node_id} lacks {len(lacking)} objects of it")
        await asyncio.to_thread(
            partial.finish, lambda _name: self._versions.point(image_id, version, made)
        )
        await asyncio.to_thread(self._versions.note, image_id, version)

    def _nobody(self, made: VersionCommit, version: int, problems: dict[NodeId, str]) -> str:
        why = "; ".join(sorted(set(problems.values()))) or "no other node is up"
        return (
            f"version {version} of the image {made.image} is not on this node, and cannot be"
            f" fetched from another one: {why}"
        )
