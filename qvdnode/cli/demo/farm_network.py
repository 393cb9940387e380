"""The network of a demo's farm: a namespace for each node, joined by a switch.

    this host .254 ---- switch ---- node1 .1, node2 .2, ...

Namespaces have no names: the kernel removes them, and all links with them, when this process and
the nodes in them have ended, even if they are killed.
"""

import contextlib
import os
from collections.abc import AsyncIterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from qvdnode.cli.demo.farm_plan import HOST_ADDRESS, FarmPlan, address
from qvdnode.host import process
from qvdnode.host.network_namespaces import NetworkNamespace, new_namespace

SWITCH: Final = "switch"
UPLINK: Final = "host"
OWN_LINK: Final = "eth0"


class DemoNetwork:
    """The switch and the nodes' namespaces."""

    def __init__(
        self, network: IPv4Network, switch: NetworkNamespace, nodes: list[NetworkNamespace]
    ) -> None:
        self.network = network
        self._switch = switch
        self._nodes = nodes

    def within(self, number: int) -> tuple[str, ...]:
        """The prefix of a command that runs in that node's network."""
        return _within(self._nodes[number - 1])

    async def cut(self, number: int) -> None:
        """Take the node off the switch, as if its cable was pulled; raises HostFailed."""
        await _ip(self._switch, f"link set {_port(number)} down")

    async def mend(self, number: int) -> None:
        """Put the node back on the switch; raises HostFailed."""
        await _ip(self._switch, f"link set {_port(number)} up")


@contextlib.asynccontextmanager
async def farm_network(plan: FarmPlan, network: IPv4Network) -> AsyncIterator[DemoNetwork]:
    """A network of so many nodes for the time of the scope; raises HostFailed."""
    with contextlib.ExitStack() as undo:
        switch = await new_namespace()
        undo.callback(switch.close)
        await _ip(
            switch, "link set lo up", f"link add {SWITCH} type bridge", f"link set {SWITCH} up"
        )
        # The kernel may not have removed yet what a demo that was killed has left.
        await process.run(["ip", "link", "del", plan.link], check=False)
        await _ip(
            None,
            f"link add {plan.link} type veth peer name {UPLINK} netns {_file(switch)}",
            f"addr add {network[HOST_ADDRESS]}/{network.prefixlen} dev {plan.link}",
            f"link set {plan.link} up",
        )
        await _ip(switch, f"link set {UPLINK} master {SWITCH} up")
        nodes: list[NetworkNamespace] = []
        for number in range(1, plan.count + 1):
            node = await new_namespace()
            undo.callback(node.close)
            nodes.append(node)
            here = f"{address(network, number)}/{network.prefixlen}"
            await _ip(
                switch,
                f"link add {_port(number)} type veth peer name {OWN_LINK} netns {_file(node)}",
                f"link set {_port(number)} master {SWITCH} up",
            )
            await _ip(
                node, "link set lo up", f"addr add {here} dev {OWN_LINK}", f"link set {OWN_LINK} up"
            )
        try:
            yield DemoNetwork(network, switch, nodes)
        finally:
            await process.run(["ip", "link", "del", plan.link], check=False)


def _port(number: int) -> str:
    return f"node{number}"


def _file(namespace: NetworkNamespace) -> Path:
    """Where other processes find it, without inheriting a descriptor."""
    return Path(f"/proc/{os.getpid()}/fd/{namespace.descriptor}")


def _within(namespace: NetworkNamespace) -> tuple[str, ...]:
    return ("nsenter", f"--net={_file(namespace)}", "--")


async def _ip(namespace: NetworkNamespace | None, *commands: str) -> None:
    """Run commands of `ip`, in a namespace or on the host; raises HostFailed."""
    prefix = () if namespace is None else _within(namespace)
    await process.run([*prefix, "ip", "-batch", "-"], stdin="\n".join(commands).encode())
