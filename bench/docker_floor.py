"""The floor of desktops of Docker: the bare steps by a script and Docker's own program."""

import contextlib
import json
import os
import platform
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from bench.bare_host import bare_host
from bench.floor import LIMIT_S, BareDesktop, remove_all
from qvdnode.host import process
from qvdnode.runtime.clock import SystemClock
from qvdnode.vm.core import lxc_config, oci_config
from qvdnode.vm.core.docker_spec import IMAGE, IMAGE_TAG
from qvdnode.vm.core.oci_config import OciHost
from qvdnode.vm.drivers.docker import DockerDriver, DockerPlace
from qvdnode.vm.drivers.docker_files import DockerFiles
from qvdnode.vm.drivers.docker_image import empty_image
from qvdnode.vm.drivers.group_guests import SESSION_SCRIPT
from tests.harness.engine import DockerEngine

DOCKER: Final = "/usr/bin/docker"
RUNTIME: Final = "qvdfloor"


class BareDockerDesktop(BareDesktop):
    """A bare desktop that Docker's program starts; the rest is that of the others."""

    engine: DockerEngine
    files: Path

    async def _launch(self) -> None:
        text = DockerFiles(self.files).filter_text
        host = OciHost(
            group=oci_config.guests_group(self.host.prefix),
            machine=platform.machine(),
            apparmor=None,
            limits_swap=self.host.groups.limits_swap(),
            filter_text=text,
        )
        made = await self._docker(
            "create", "--name", self.spec.name, "--runtime", RUNTIME, "--network", "none",
            "--label", f"org.qvdnode.instance={self.host.prefix}", "--log-driver", "none",
            "--entrypoint", lxc_config.INIT, f"{IMAGE}:{IMAGE_TAG}",
        )  # fmt: skip
        config = oci_config.config(self.spec, host, f"/proc/{os.getpid()}/fd/{self.users}")
        (self.files / f"{made}.json").write_text(json.dumps(config))
        await self._docker("start", made)
        (self.files / f"{made}.json").unlink()

    async def _enter(self, verb: str, wanted: set[int]) -> None:
        code = await process.exit_code(
            [*self._program(), "exec", self.spec.name, SESSION_SCRIPT, verb], limit_s=LIMIT_S
        )
        if code not in wanted:
            raise AssertionError(f"the session script's {verb} ended with {code}")

    async def _docker(self, *words: str) -> str:
        done = await process.run([*self._program(), *words], limit_s=LIMIT_S)
        return done.stdout.decode().strip()

    def _program(self) -> list[str]:
        return [DOCKER, "--host", f"unix://{self.engine.socket}"]


@contextlib.asynccontextmanager
async def docker_floor(
    image: Path, display: str, desktops: int, engine: DockerEngine
) -> AsyncIterator[Sequence[BareDockerDesktop]]:
    """So many bare desktops of that engine, gone at the end with all that they made."""
    files = engine.folder / "floor"
    engine.offer(RUNTIME, files / "oci-runtime")
    DockerFiles(files).put()
    with tempfile.NamedTemporaryFile() as archive:
        archive.write(empty_image())
        archive.flush()
        load = [DOCKER, "--host", f"unix://{engine.socket}", "load", "--input", archive.name]
        await process.run(load)
    async with bare_host(image, display, desktops) as lxc:
        place = DockerPlace(files, lxc.prefix, lxc.bridge, engine.socket, RUNTIME)
        host = replace(lxc, driver=DockerDriver(place, SystemClock()))
        bare = [BareDockerDesktop(host, number) for number in range(1, desktops + 1)]
        for desktop in bare:
            desktop.engine, desktop.files = engine, files
        try:
            yield bare
        finally:
            await remove_all(bare)
