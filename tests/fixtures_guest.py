"""Real guests for tests: a bridge, an overlay on the shared IceWM root, and names of their own.

A pytest plugin. Everything carries a random prefix and is gone after the test, also a failed one.
"""

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from qvdnode.host import mounts, process
from qvdnode.host.idmap import IdMapper
from qvdnode.host.inotify import Inotify
from qvdnode.host.linux_calls import MOUNT_ATTR_RDONLY
from qvdnode.model.errors import FarmError
from qvdnode.model.guest import GuestPort, GuestRoot, GuestSpec, IdRange
from qvdnode.model.ids import Generation, VmId
from qvdnode.runtime.clock import SystemClock
from qvdnode.vm.drivers.docker import DockerDriver, DockerPlace
from qvdnode.vm.drivers.lxc import LxcDriver, LxcSettings
from qvdnode.vm.guest_driver import GuestDriver
from qvdnode.vm.run_folder import TmpfsRunFolders
from tests.harness.engine import DockerEngine, docker_engine
from tests.harness.lxc_attach import attach_argv
from tests.places import place_of_ones_own

FIRST_IDS = 0x7000_0000 + 3000 * 65_536
"""Above those that a node on this host would give out first."""
RUNTIME = "qvdtest"
GUESTS = 8
"""At most in one test."""
PLACES = 125
"""How many tests with guests may run at once on a host, each with addresses and ids of its own."""


@dataclass
class RealGuests:
    """Makes the surroundings of guests of one test."""

    image: Path
    folder: Path
    prefix: str
    bridge: str
    driver: GuestDriver
    run_folders: TmpfsRunFolders
    mapper: IdMapper
    subnet: IPv4Network
    first_ids: int
    socket: Path | None = None
    """Of the Docker engine, when that is what runs the guests."""
    specs: list[GuestSpec] = field(default_factory=list)

    @property
    def group(self) -> str:
        """The control group below which the guests live."""
        return f"{self.prefix}{'guests' if self.socket is None else 'containers'}"

    async def spec(self, number: int = 1) -> GuestSpec:
        """Everything that guest needs, made."""
        assert number < GUESTS
        ids = IdRange(self.first_ids + number * 65_536)
        place = self.folder / str(number)
        for name in ("lower", "upper", "work", "root", "home"):
            (place / name).mkdir(parents=True)
        for name in ("upper", "work"):
            os.chown(place / name, ids.start, ids.start)
        os.chown(place / "home", ids.start + 1000, ids.start + 1000)
        await self.mapper.bind(
            self.image, place / "lower", start=ids.start, count=ids.count,
            attributes=MOUNT_ATTR_RDONLY,
        )  # fmt: skip
        mounts.overlay(
            mounts.Lower(place / "lower"), place / "upper", place / "work", place / "root"
        )
        for made in ("run/qvd", "home/alice"):
            (place / "root" / made).mkdir(parents=True, exist_ok=True)
        vm_id = VmId(number)
        await self.run_folders.create(vm_id, ids)
        spec = GuestSpec(
            vm_id=vm_id,
            generation=Generation(1),
            name=f"{self.prefix}-{number}",
            hostname=f"desk-{number}",
            account="alice",
            ids=ids,
            port=GuestPort(
                link=f"{self.prefix}v{number}",
                mac=f"02:00:00:00:00:{number:02x}",
                address=IPv4Interface((self.subnet[number + 1], self.subnet.prefixlen)),
                gateway=self.subnet[1],
                egress=False,
            ),
            root=GuestRoot(place / "root", place / "home"),
            run_folder=self.run_folders.path(vm_id),
            memory_mib=512,
            cpu_pct=150,
            pids_max=300,
        )
        self.specs.append(spec)
        return spec

    async def inside(self, spec: GuestSpec, command: str) -> str:
        """What a shell of the guest's root prints."""
        if self.socket is None:
            enter = [*attach_argv(self.prefix, spec.name, self.folder / "lxc"), "--"]
        else:
            enter = ["/usr/bin/docker", "--host", f"unix://{self.socket}", "exec", spec.name]
        words = [*enter, "sh", "-c", command]
        done = await process.run(words, limit_s=60, check=False)
        return (done.stdout + done.stderr).decode(errors="replace").strip()

    async def remove(self) -> None:
        """Undo everything."""
        for spec in self.specs:
            with suppress(FarmError):
                await self.driver.kill(spec)
        await self.driver.sweep([])
        await process.run(["ip", "link", "delete", self.bridge], check=False)


@pytest.fixture
def guest_folder() -> Iterator[Path]:
    """A folder that shifted ids may pass through, which tmp_path's parents do not allow."""
    folder = Path("/var/tmp") / f"qvdtest-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o755)
    yield folder
    # First of all, whatever went wrong: a removal through these would empty the image.
    for point in mounts.under(folder):
        mounts.unmount(point)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def real_guests(icewm_root: Path, guest_folder: Path) -> AsyncIterator[RealGuests]:
    """Guests of LXC on a bridge of their own that leads nowhere."""
    with place_of_ones_own(PLACES) as place:
        async with guests_at(place, icewm_root, guest_folder) as guests:
            yield guests


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    """A Docker engine that knows the runtime of `docker_guests`."""
    with docker_engine() as running:
        running.offer(RUNTIME, running.folder / "guests" / "oci-runtime")
        yield running


@pytest.fixture
async def docker_guests(
    icewm_root: Path, guest_folder: Path, engine: DockerEngine
) -> AsyncIterator[RealGuests]:
    """The same surroundings for guests of a Docker engine."""
    with place_of_ones_own(PLACES) as place:
        async with guests_at(place, icewm_root, guest_folder) as guests:
            guests.driver = DockerDriver(
                DockerPlace(
                    engine.folder / "guests", guests.prefix, guests.bridge, engine.socket, RUNTIME
                ),
                SystemClock(),
            )
            guests.socket = engine.socket
            yield guests


@asynccontextmanager
async def guests_at(place: int, icewm_root: Path, guest_folder: Path) -> AsyncIterator[RealGuests]:
    """The same, with the addresses and ids of that place."""
    prefix = f"t{secrets.token_hex(3)}"
    bridge = f"{prefix}br"
    await process.run(["ip", "link", "add", bridge, "type", "bridge"])
    subnet = IPv4Network(f"10.250.{place}.0/24")
    gateway = f"{subnet[1]}/{subnet.prefixlen}"
    await process.run(["ip", "address", "add", gateway, "dev", bridge])
    await process.run(["ip", "link", "set", bridge, "up"])
    inotify, mapper = Inotify(), IdMapper()
    guests = RealGuests(
        image=icewm_root,
        folder=guest_folder,
        prefix=prefix,
        bridge=bridge,
        driver=LxcDriver(LxcSettings(guest_folder / "lxc", prefix, bridge), SystemClock()),
        run_folders=TmpfsRunFolders(guest_folder / "run", inotify),
        mapper=mapper,
        subnet=subnet,
        first_ids=FIRST_IDS + place * GUESTS * 65_536,
    )
    try:
        yield guests
    finally:
        await asyncio.shield(guests.remove())
        inotify.close()
        mapper.close()


@pytest.fixture(
    params=[
        pytest.param("real_guests", id="lxc", marks=pytest.mark.lxc),
        pytest.param("docker_guests", id="docker", marks=pytest.mark.docker),
    ]
)
def guests(request: pytest.FixtureRequest) -> RealGuests:
    """Guests of each driver of containers: what holds them is the same."""
    found: RealGuests = request.getfixturevalue(request.param)
    return found
