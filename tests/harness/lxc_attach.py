"""Enters a guest of LXC as the node does, by the network namespace that its monitor listens in."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from qvdnode.host.cgroups import probe
from qvdnode.host.network_namespaces import NetworkNamespace
from qvdnode.vm.drivers.lxc_control import network_of_monitor


@contextlib.contextmanager
def monitors_network(prefix: str, name: str) -> Iterator[NetworkNamespace]:
    """That network namespace, for a guest of the node with that prefix."""
    group, groups = f"{prefix}guests/monitor-{name}", probe()
    with contextlib.closing(network_of_monitor(name, lambda: groups.processes(group))) as network:
        yield network


def attach_argv(prefix: str, name: str, folder: Path) -> list[str]:
    """The beginning of a command that runs in the guest; `folder` is LXC's of the node."""
    monitor = min(probe().processes(f"{prefix}guests/monitor-{name}"))
    return [
        "nsenter", f"--net=/proc/{monitor}/ns/net", "--",
        "lxc-attach", "-n", name, "-P", str(folder), "--clear-env",
    ]  # fmt: skip
