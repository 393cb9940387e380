"""Starts a node in order, serves until it is told to stop, and stops it in reverse.

What runs is adopted before anybody is served. The database may be away, now or later: then the
node adopts from its own files, serves what runs, and joins the farm when it can.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

import uvloop

from qvdnode.admin.listener import serving
from qvdnode.daemon import announcement
from qvdnode.daemon.announcement import Announcement
from qvdnode.daemon.build import Node, admin_parts, build
from qvdnode.daemon.config import Config
from qvdnode.daemon.database_way import keep_following, open_way
from qvdnode.daemon.descriptors import fitted
from qvdnode.daemon.drivers import DRIVERS, MakeDriver
from qvdnode.daemon.login_copying import keep_copies
from qvdnode.daemon.node_inputs import NodeInputs
from qvdnode.daemon.opening import open_identity, prepare, require_certificate
from qvdnode.daemon.peers import open_peers
from qvdnode.daemon.state_lock import StateLock
from qvdnode.db.images import Images
from qvdnode.db.login_copies import LoginCopyRows
from qvdnode.host import core_dumps, open_files
from qvdnode.host.descriptors import close_to_children
from qvdnode.host.free_memory import trim_memory
from qvdnode.host.id_reservations import reserved
from qvdnode.model.errors import FarmError, HostFailed, Unavailable
from qvdnode.net.core.resolvers import Resolvers
from qvdnode.net.host_network import guest_resolvers
from qvdnode.net.periodic_check import check_once, keep_checking
from qvdnode.net.settings import NetSettings, Uplink
from qvdnode.runtime.clock import Clock, SystemClock
from qvdnode.runtime.first_error import first_farm_error
from qvdnode.runtime.supervise import Supervisor
from qvdnode.tls.acceptor import listen
from qvdnode.tls.identity import NodeIdentity

log = logging.getLogger(__name__)

JOURNAL_LIMIT_S: Final = 5.0
JOIN_AGAIN_S: Final = 2.0


def run(config: Config, drivers: Mapping[str, MakeDriver] = DRIVERS) -> None:
    """Run a node in this process until it is told to stop; raises FarmError.

    `drivers` are the kinds of guests that it can run, by the names that flavours use.
    """
    close_to_children()
    core_dumps.forbid()
    config = fitted(config, open_files.raise_limit())
    try:
        uvloop.run(serve(config, SystemClock(), drivers))
    except BaseExceptionGroup as group:
        expected = first_farm_error(group)
        if expected is None:
            raise
        raise expected from group


async def serve(config: Config, clock: Clock, drivers: Mapping[str, MakeDriver]) -> None:
    """Run a node until SIGTERM or SIGINT; SIGHUP reloads the certificate.

    Raises FarmError when the node cannot start; then nothing is left running.
    """
    stop = asyncio.Event()
    state_dir = config.node.state_dir
    await prepare(config)
    with StateLock(state_dir), reserved(config.vm.ids, state_dir):
        identity = open_identity(config, clock)
        peers = open_peers(config, clock)
        _listen_to_signals(stop, identity, config)
        async with Supervisor("node") as tasks, open_way(config, clock, tasks) as (way, database):
            resolvers = await _resolvers(config.network)
            inputs = NodeInputs(config, clock, database, way, identity, peers, resolvers)
            node = build(inputs, drivers)
            try:
                await _serve_node(node, tasks, stop)
            finally:
                announcement.withdraw(state_dir)
                peers.listener.close()
                peers.gossip.close()


async def _resolvers(settings: NetSettings) -> Resolvers:
    """What guests resolve names with; a log line if they should have servers and get none."""
    found = await guest_resolvers(settings)
    if not found.servers and settings.uplink is not Uplink.NONE:
        log.warning("guests_have_no_resolver", extra={"fix": "set network.resolvers"})
    return found


async def _serve_node(node: Node, tasks: Supervisor, stop: asyncio.Event) -> None:
    await node.network.up()
    await _raise_limits(node)
    network = node.inputs.config.network
    await node.memory_tuning.up(network.prefix, network.bridge_name, node.memory.memory())
    try:
        await _serve_guests(node, tasks, stop)
    except (FarmError, asyncio.CancelledError):  # the start failed, or another part of the node
        await _remove_network(node)
        raise
    await _shut_down(node)


async def _remove_network(node: Node) -> None:
    """Remove the network after a failed start, unless guests of an earlier process use it."""
    try:
        await _restore_host(node)
    except HostFailed as error:
        log.warning("network_not_removed", extra={"because": str(error)})


async def _raise_limits(node: Node) -> None:
    """Raise the kernel limits that all guests share; a host that refuses keeps its own."""
    network = node.inputs.config.network
    try:
        low = await asyncio.to_thread(node.limits.hold, network.prefix, network.bridge_name)
    except HostFailed as error:
        log.warning("kernel_limits_not_raised", extra={"because": str(error)})
    else:
        log.info("kernel_limits_raised", extra={"before": low})


async def _restore_host(node: Node) -> None:
    """Remove the network and restore the kernel limits; raises HostFailed while guests run."""
    await node.network.down()
    await node.memory_tuning.down(node.inputs.config.network.prefix)
    back = await asyncio.to_thread(node.limits.release, node.inputs.config.network.prefix)
    log.info("kernel_limits_restored", extra={"to": back})


async def _serve_guests(node: Node, tasks: Supervisor, stop: asyncio.Event) -> None:
    config, clock = node.inputs.config, node.inputs.clock
    await node.image_parts.importer.sweep()
    node.peer_desktops.calls.hold()
    node.farm.start(tasks, node.peer_desktops)
    _ = tasks.essential("database-moves", _follow_moves(node))
    _ = tasks.essential("gossip", node.gossip.run())
    joined = node.inputs.database.available and await _join(node, tasks)
    _ = tasks.essential("image-fetches", node.image_parts.fetcher.run())
    _ = tasks.essential("guests", node.fleet.run())
    _ = await node.fleet.adopt()
    node.peer_desktops.calls.release()
    # Not waited for: a driver is taken to work until a check says otherwise.
    check_drivers = keep_checking("drivers", node.driver_offer.check, clock, first_s=0.0)
    _ = tasks.essential("drivers", check_drivers)
    _keep_watch(node, tasks)
    count = partial(node.rootfs.count, node.fleet.promised)
    await check_once("disk", count)
    _ = tasks.essential("disk-promises", keep_checking("disk", count, clock))
    _ = tasks.essential("rules", keep_checking("rules", node.confinement.check, clock))
    _ = tasks.essential("network", keep_checking("network", node.network.check, clock))
    if not joined:
        _ = tasks.essential("join", _join_later(node, tasks))
    async with AsyncExitStack() as ports:
        announced = await _open_ports(node, ports)
        node.readiness.serving = True
        announcement.publish(config.node.state_dir, announced)
        log.info(
            "serving",
            extra={
                "client_port": announced.client_port,
                "admin_port": announced.admin_port,
                "peer_port": announced.peer_port,
                "gossip_port": announced.gossip_port,
                "fingerprint": announced.fingerprint,
            },
        )
        await stop.wait()
        log.info("stopping", extra={"stop_guests": config.node.stop_guests})
        node.readiness.serving = False
        # Clients at other nodes wait for the next process; this one would send them away once more.
        node.peer_desktops.calls.stop()


def _keep_watch(node: Node, tasks: Supervisor) -> None:
    """Run what writes records, and what looks after guests."""
    _ = tasks.essential("journal", node.journal.run())
    _ = tasks.essential("audit", node.trail.run())
    _ = tasks.essential("disk", node.disk_watch.run())
    _ = tasks.essential("image-store", node.image_parts.importer.collector.run())
    node.images.run(tasks, node.fleet)
    _ = tasks.essential("self-fence", node.self_fence.run())
    _ = tasks.essential("rescue", node.rescue.run(node.hosts))
    _ = tasks.essential("draining", node.draining.run(node.fleet))
    _ = tasks.essential("memory", node.optimiser.run())
    _ = tasks.essential("start-pace", node.start_pacer.run())
    _ = tasks.essential("guest-limits", node.fleet.watch_limits())
    _ = tasks.essential("locks", node.lock_watch.run())
    _ = tasks.essential("desktops-told", node.peer_desktops.teller.run())
    copying = keep_copies(
        node.accounts.authenticator.copies,
        node.fleet,
        node.peer_desktops.links.users,
        LoginCopyRows(node.inputs.database),
        node.inputs.clock,
    )
    _ = tasks.essential("login-copies", copying)


async def _open_ports(node: Node, ports: AsyncExitStack) -> Announcement:
    """Listen on both ports; leaving `ports` closes them and ends their connections."""
    inputs = node.inputs
    await node.desks.sweep()
    ports.push_async_callback(node.desks.sweep)
    people = listen(inputs.config.admin.address, inputs.config.admin.port, section="admin")
    ports.callback(people.close)
    announced = Announcement(
        pid=os.getpid(),
        client_port=node.endpoint.listen(),
        admin_port=people.getsockname()[1],
        fingerprint=inputs.identity.fingerprint(),
        peer_port=inputs.peers.port,
        gossip_port=inputs.peers.gossip.number,
    )
    guests_end = inputs.config.node.stop_guests
    tasks = await ports.enter_async_context(Supervisor("ports"))
    _ = tasks.essential("events", node.events.run())
    _ = tasks.essential("figures", node.figures.run())
    parts = admin_parts(node, announced, tasks)
    context, settings = inputs.identity.context, inputs.config.admin
    await ports.enter_async_context(
        serving(parts, inputs.clock, people, context, settings, trim_memory)
    )
    ports.callback(node.desks.stop)
    _ = tasks.essential("clients", node.endpoint.run(guests_stay=not guests_end))
    return announced


async def _shut_down(node: Node) -> None:
    """Both ports are closed: end or leave the guests, flush the journal, give up the lease."""
    config = node.inputs.config
    await node.fleet.close(stop_guests=config.node.stop_guests)
    await node.journal.flushed(JOURNAL_LIMIT_S)
    lease = node.membership.lease
    if lease is not None:
        try:
            node.self_fence.leave(guests_stay=not config.node.stop_guests)
            await lease.leave(guests_stay=not config.node.stop_guests)
        except Unavailable as error:
            log.warning("leave_not_recorded", extra={"because": str(error)})
    if config.node.stop_guests:
        await _restore_host(node)
    else:
        node.memory_tuning.rest()
    node.rootfs.close()
    node.inotify.close()


async def _follow_moves(node: Node) -> None:
    inputs, own = node.inputs, node.inputs.peers.own
    others = (own, inputs.peers.directory, inputs.peers.dialer)
    await keep_following(inputs.way, inputs.database, inputs.clock, others, own.load)


async def _join(node: Node, tasks: Supervisor) -> bool:
    """Join the farm; False while the database is away."""
    lease = await node.joining.attempt()
    if lease is None:
        return False
    _ = tasks.essential("lease", lease.run())
    exists = Images(node.inputs.database).exists
    _ = tasks.isolated("image-removals", node.image_parts.importer.finish_removals(exists))
    _ = tasks.essential("image-upkeep", node.image_parts.upkeep.run())
    return True


async def _join_later(node: Node, tasks: Supervisor) -> None:
    """Join when the database is back; the fleet then corrects the rows that it could not read."""
    while not await _join(node, tasks):
        await node.inputs.clock.sleep(JOIN_AGAIN_S)


def _listen_to_signals(stop: asyncio.Event, identity: NodeIdentity, config: Config) -> None:
    def reload() -> None:
        try:
            require_certificate(config.tls)
            identity.reload()
        except FarmError as error:
            log.warning("certificate_not_reloaded", extra={"because": str(error)})
        else:
            fingerprint = identity.fingerprint()
            announcement.correct(config.node.state_dir, fingerprint)
            log.info("certificate_reloaded", extra={"fingerprint": fingerprint})

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
