"""Asks a Docker engine at a unix socket, through aiodocker; every question ends within a limit.

A connection lasts for one question, so an engine may restart, or be replaced by another version,
between any two. An engine is a program of somebody else's: what it answers is not believed before
core/docker_spec.py has read it.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

import aiohttp
from aiodocker import Docker
from aiodocker.containers import DockerContainer
from aiodocker.exceptions import DockerError
from aiodocker.execs import Exec

from qvdnode.model.errors import HostFailed, TimedOut
from qvdnode.runtime.time_limit import TimeLimit
from qvdnode.vm.core import docker_spec, oci_config
from qvdnode.vm.core.docker_spec import Container, EngineFacts, Json, OddAnswer
from qvdnode.vm.drivers.docker_image import empty_image

T = TypeVar("T")

ANSWER_LIMIT_S: Final = 10.0
"""For questions that the engine answers from memory."""
WORK_LIMIT_S: Final = 30.0
"""For those at which it starts or ends programs."""
TOLD_CHARACTERS: Final = 400
"""How much of an engine's own words goes into a message."""
NO_CONNECTION: Final = 900
"""aiodocker's own number for it, among those of HTTP."""
NOT_FOUND: Final = 404
CONFLICT: Final = 409
ODD: Final = (OddAnswer, ValueError, TypeError, LookupError, AttributeError, AssertionError)
"""What aiodocker raises, and docker_spec, at an answer that is not what it should be."""


class EngineRefused(HostFailed):
    """The engine did not do it, and said why."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"the Docker engine refused: {words[:TOLD_CHARACTERS]}")
        self.status = status


class Engine:
    """One engine. Methods raise HostFailed, EngineRefused among it, and TimedOut."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._api: str | None = None

    @property
    def is_there(self) -> bool:
        """Whether there is a socket, whoever listens at it."""
        return self._socket.is_socket()

    async def version(self, *, limit_s: float = ANSWER_LIMIT_S) -> str:
        """The version of its interface; it is asked anew each time."""
        async with _connection(self._socket, "auto", limit_s) as docker:
            self._api = docker_spec.api_version(await docker.version())
        return self._api

    async def facts(self, *, limit_s: float = ANSWER_LIMIT_S) -> EngineFacts:
        """What it says of itself."""

        async def ask(docker: Docker) -> EngineFacts:
            return docker_spec.facts(await docker.system.info())

        return await self._ask(ask, limit_s)

    async def create(self, name: str, body: Json) -> str:
        """Make a container; its id."""

        async def ask(docker: Docker) -> str:
            container = await docker.containers.create(dict(body), name=name)
            return docker_spec.made({"Id": container.id})

        try:
            return await self._ask(ask, WORK_LIMIT_S)
        except EngineRefused as error:
            if error.status != NOT_FOUND:
                raise
        # Its image is not there yet, or somebody has removed it.
        await self._ask(_load_image, WORK_LIMIT_S)
        return await self._ask(ask, WORK_LIMIT_S)

    async def start(self, container_id: str) -> None:
        """Start a container that was made."""

        async def ask(docker: Docker) -> None:
            await docker.containers.container(container_id).start()

        await self._ask(ask, WORK_LIMIT_S)

    async def remove(self, container_id: str) -> None:
        """End and remove a container, with what the engine keeps of it; safe to repeat."""

        async def ask(docker: Docker) -> None:
            await docker.containers.container(container_id).delete(force=True, v=True)

        try:
            await self._ask(ask, WORK_LIMIT_S)
        except EngineRefused as error:
            # Gone, or about to be.
            if error.status not in {NOT_FOUND, CONFLICT}:
                raise

    async def guests(self, instance: str) -> list[Container]:
        """All containers with the label of that instance, those that have ended among them."""
        wanted = json.dumps({"label": [f"{docker_spec.INSTANCE}={instance}"]})

        async def ask(docker: Docker) -> list[Container]:
            found = await docker.containers.list(all=1, filters=wanted)
            told = docker_spec.containers([_told(container) for container in found])
            # An engine that does not know the filter tells all.
            return [container for container in told if container.instance == instance]

        return await self._ask(ask, ANSWER_LIMIT_S)

    async def begin(self, name: str, argv: Sequence[str]) -> str:
        """Start a program in a guest, as its root, its output going nowhere; a number for it."""

        async def ask(docker: Docker) -> str:
            running = await docker.containers.container(name).exec(
                argv, stdout=False, stderr=False, environment=oci_config.ENVIRONMENT, workdir="/"
            )
            number = docker_spec.made({"Id": running.id})
            await running.start(detach=True)
            return number

        return await self._ask(ask, WORK_LIMIT_S)

    async def progress(self, number: str) -> tuple[int | None, int]:
        """The exit code of such a program, None while it runs, and its pid on the host."""

        async def ask(docker: Docker) -> tuple[int | None, int]:
            answer = await Exec(docker, number).inspect()
            return docker_spec.exit_code(answer), docker_spec.pid(answer)

        return await self._ask(ask, ANSWER_LIMIT_S)

    async def _ask(self, ask: Callable[[Docker], Awaitable[T]], limit_s: float) -> T:
        api = self._api or await self.version()
        async with _connection(self._socket, f"v{api}", limit_s) as docker:
            return await ask(docker)


@asynccontextmanager
async def _connection(socket: Path, api: str, limit_s: float) -> AsyncIterator[Docker]:
    """A connection for one question, and what its failures mean."""
    try:
        async with TimeLimit(limit_s), Docker(f"unix://{socket}", api_version=api) as docker:
            yield docker
    except TimeoutError as error:
        raise TimedOut(f"The Docker engine at {socket} does not answer.") from error
    except DockerError as error:
        if error.status == NO_CONNECTION:
            raise HostFailed(f"no Docker engine listens at {socket}") from error
        raise EngineRefused(error.status, error.message) from error
    except (aiohttp.ClientError, OSError) as error:
        raise HostFailed(f"the Docker engine at {socket} broke off its answer") from error
    except ODD as error:
        words = f": {error}" if isinstance(error, OddAnswer) else ""
        raise HostFailed(f"what answers at {socket} is not a Docker engine{words}") from error


async def _load_image(docker: Docker) -> None:
    await docker.images.import_image(empty_image())


def _told(container: DockerContainer) -> Json:
    return {key: container[key] for key in ("Id", "Names", "Labels")}
