"""`qvdnode doctor`: gathers facts about this host, lets them be judged, and changes nothing."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from qvdnode.cli.doctor import certificate, database, farm, farm_facts, guests, host, network
from qvdnode.cli.doctor.certificate import CertificateFacts
from qvdnode.cli.doctor.database import PostgresFacts
from qvdnode.cli.doctor.finding import Finding, warning
from qvdnode.cli.doctor.guests import DiskFacts, ProgramFacts
from qvdnode.cli.doctor.network import NetworkFacts, PortFacts
from qvdnode.daemon import announcement
from qvdnode.daemon.config import Config
from qvdnode.daemon.descriptors import needs
from qvdnode.daemon.drivers import driver_table
from qvdnode.daemon.peers import database_address, farm_files, has_others
from qvdnode.db.hosts import server_facts
from qvdnode.db.postgres_binaries import find_binaries
from qvdnode.host import (
    apparmor,
    disk_space,
    forwarding,
    id_reservations,
    links,
    open_files,
    project_quota,
)
from qvdnode.host.probes import accounts, connections, mapped_mounts, ports, programs, system
from qvdnode.host.probes.mapped_mounts import MountFacts
from qvdnode.host.system_account import closed_folder
from qvdnode.host.trusted_path import PathUse, require
from qvdnode.image.core.disk_promise import StoreFigures
from qvdnode.image.disk_ledger import DiskLedger
from qvdnode.memopt.host_memory import HostMemoryReader
from qvdnode.model.errors import BadConfig, FarmError, HostFailed, Unavailable
from qvdnode.model.guest import IDS_PER_GUEST, DriverCheck
from qvdnode.net import foreign_firewalls
from qvdnode.net.core import names
from qvdnode.net.host_network import guest_resolvers
from qvdnode.net.nft import Nft
from qvdnode.net.settings import ForeignForward, Uplink
from qvdnode.runtime.clock import Clock
from qvdnode.tls import inspection
from qvdnode.tls.host_names import host_names
from qvdnode.tls.identity import CERTIFICATE_FILE, KEY_FILE
from qvdnode.vm.state_file import StateFiles

PACKAGE_LIST: Final = Path(__file__).parents[3] / "debian-packages.txt"
"""Beside the program in a clone; elsewhere packages are not looked at."""
NOT_TRIED: Final = "Not tried in a folder that another user controls"

SMALLEST_DESKTOP_MIB: Final = 100
"""Memory of the smallest desktop: it limits how many desktops there may be."""


async def examine(config: Config, clock: Clock) -> list[Finding]:
    """Every line; takes about a second. Tries mounts and packet rules for real if it is root."""
    ids, files = config.vm.ids, needs(config)
    return [
        *host.judge(await asyncio.to_thread(system.probe), clock.now()),
        host.open_files(open_files.limit_to_expect(), files.all, files.least),
        guests.ids(
            await asyncio.to_thread(accounts.probe),
            ids.start,
            len(ids),
            await asyncio.to_thread(id_reservations.holder_of, ids, but=config.node.state_dir),
        ),
        *guests.disk(await _disk(config)),
        guests.apparmor(await asyncio.to_thread(apparmor.probe)),
        *guests.drivers(await _drivers(config, clock)),
        *guests.programs(await _programs()),
        *certificate.judge(await asyncio.to_thread(certificate_facts, config), clock.now()),
        database.postgres(await _postgres(config)),
        *network.judge(await _network(config)),
        *await _farm(config, clock),
    ]


async def _farm(config: Config, clock: Clock) -> list[Finding]:
    try:
        return farm.judge(await farm_facts.gather(config, clock), clock.now())
    except (HostFailed, PermissionError) as error:
        return [warning(farm.SUBJECT, f"Not checked: {error}", "Run the doctor as root.")]


def certificate_facts(config: Config) -> CertificateFacts:
    """The pair that the node serves, or will serve, beside what clients may call this host."""
    own = config.tls.certificate is None or config.tls.key is None
    folder = config.node.state_dir / "tls"
    chain = config.tls.certificate or folder / CERTIFICATE_FILE
    names, addresses = host_names(config.tls.names)
    facts = CertificateFacts(
        own=own,
        found=None,
        names=[name for name in names if name != "localhost"],
        addresses=[
            one for one in addresses if not (one.is_loopback or one in config.network.subnet)
        ],
    )
    try:
        return replace(
            facts, found=inspection.inspect_files(chain, config.tls.key or folder / KEY_FILE)
        )
    except FileNotFoundError as error:
        gone = f"{error.filename} is missing"
        return facts if own and not chain.exists() else replace(facts, refusal=gone)
    except PermissionError:
        return replace(facts, closed=True)
    except (OSError, BadConfig) as error:
        return replace(facts, refusal=f"{chain}: {error}")


async def _disk(config: Config) -> DiskFacts:
    folder = await asyncio.to_thread(nearest, config.node.state_dir)
    folder_problem = await asyncio.to_thread(_folder_problem, folder, config.node.state_dir)
    # mounting in a folder that somebody else can exchange could hit any folder of the host
    mounts = (
        await mapped_mounts.probe(folder, config.vm.id_base, IDS_PER_GUEST)
        if folder_problem is None
        else MountFacts(NOT_TRIED, NOT_TRIED)
    )
    return DiskFacts(
        state_dir=folder,
        free_mib=await asyncio.to_thread(disk_space.free_mib, folder),
        floor_mib=config.image.free_floor_mib,
        stores=await asyncio.to_thread(stores, config),
        project_quota=await asyncio.to_thread(project_quota.available, folder),
        closed_folder=await asyncio.to_thread(closed_folder, folder),
        mounts=mounts,
        folder_problem=folder_problem,
    )


def stores(config: Config) -> list[StoreFigures]:
    """What is promised of the file systems; nothing where there is no node, or we may not look."""
    if not _is_folder(config.node.state_dir):
        return []
    ledger = DiskLedger(config.image)
    try:
        ledger.measure()
    except HostFailed:  # only root may list homes
        return []
    return ledger.show(
        [record.order for record in StateFiles(config.instance().state_files).peek()]
    )


def _folder_problem(folder: Path, state_dir: Path) -> str | None:
    """Why the folder that exists is not safe to work in, or None."""
    try:
        require(folder, PathUse.OWN_FOLDER if folder == state_dir else PathUse.SHARED_FOLDER)
    except (HostFailed, OSError) as error:
        return str(error)
    return None


async def _drivers(config: Config, clock: Clock) -> Mapping[str, DriverCheck]:
    table = driver_table(config, config.instance(), clock)
    await table.check()
    return table.checks


async def _programs() -> ProgramFacts:
    return ProgramFacts(
        versions={item.name: await programs.version(*item.version) for item in guests.PROGRAMS},
        missing_packages=await programs.missing_packages(await asyncio.to_thread(_package_list)),
        own_environment=sys.prefix != sys.base_prefix,
    )


async def _postgres(config: Config) -> PostgresFacts:
    dsn, node = database_address(config, farm_files(config).member())
    if node is not None:
        through = f"node {node.node_id} at {node.host} port {node.port}"
        return PostgresFacts(own=False, version=None, through=through)
    if not dsn:
        with contextlib.suppress(FarmError):
            version = (await find_binaries(None)).version
            return PostgresFacts(own=False, version=version, serves_farm=has_others(config))
        return PostgresFacts(own=False, version=None)
    try:
        server = await server_facts(replace(config.database, dsn=dsn))
        return PostgresFacts(own=True, version=server.version, superuser=server.superuser)
    except Unavailable as error:
        return PostgresFacts(own=True, version=None, refusal=str(error.__cause__))


async def _network(config: Config) -> NetworkFacts:
    refusal = await _rules_refusal()
    droppers = [] if refusal else [str(item) for item in await foreign_firewalls.droppers()]
    memory = await asyncio.to_thread(HostMemoryReader().memory)
    bridge = config.network.bridge_name
    clashes = [
        link
        for network, link in await links.routes()
        if network.prefixlen > 0 and network.overlaps(config.network.subnet) and link != bridge
    ]
    said = await asyncio.to_thread(announcement.read, config.node.state_dir)
    taken = (
        set[int]()
        if said is None
        else {said.client_port, said.admin_port, said.peer_port, said.gossip_port}
    )
    listeners = (
        ("clients", config.clients),
        ("admin", config.admin),
        ("peer", config.peer),
        ("gossip", config.gossip),
    )
    return NetworkFacts(
        rules_refusal=refusal,
        forwarding=await asyncio.to_thread(forwarding.enabled),
        droppers=droppers,
        accepts_past_droppers=config.network.foreign_forward is ForeignForward.ACCEPT,
        connections_host=await asyncio.to_thread(connections.capacity),
        connections_guest=config.network.connections_max,
        guests=min(config.vm.id_slots, memory.total_mib // SMALLEST_DESKTOP_MIB),
        subnet_clash=clashes[0] if clashes else None,
        resolvers=None
        if config.network.uplink is Uplink.NONE
        else await guest_resolvers(config.network),
        ports=[
            PortFacts(
                section=section,
                address=listener.address,
                port=listener.port,
                refusal=ports.refusal(listener.address, listener.port),
                ours=listener.port in taken,
            )
            for section, listener in listeners
        ],
    )


async def _rules_refusal() -> str | None:
    """Make and remove a table of a name nobody has."""
    table = {"family": "inet", "name": f"{names.table_name('doctor')}_{os.getpid()}"}
    nft = Nft()
    try:
        await nft.change([{"add": {"table": table}}])
        await nft.change([{"delete": {"table": table}}])
    except FarmError as error:
        return str(error)
    return None


def nearest(folder: Path) -> Path:
    """The folder itself, or the nearest above it that exists."""
    return next(place for place in (folder, *folder.parents) if _is_folder(place))


def _is_folder(place: Path) -> bool:
    try:
        return place.is_dir()
    except PermissionError:  # below a folder that is closed to us, which is a finding of its own
        return False


def _package_list() -> tuple[str, ...]:
    try:
        return programs.parse_package_list(PACKAGE_LIST.read_text(encoding="utf-8"))
    except OSError:
        return ()
