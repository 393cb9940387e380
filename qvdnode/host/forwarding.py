"""Switches IPv4 forwarding on while an instance needs it, and restores it after the last one."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from qvdnode.host.shared_sysctls import SYSCTLS, SharedSysctls, link_exists, network_namespace

NAME: Final = "net/ipv4/ip_forward"
SWITCH: Final = SYSCTLS / NAME
RECORDS: Final = Path("/run/qvdnode/forwarding")
FAILING: Final = "IPv4 forwarding cannot be arranged"


def enabled(switch: Path = SWITCH) -> bool:
    """Whether the host forwards IPv4 packets now."""
    return switch.read_text(encoding="ascii").strip() == "1"


class Forwarding:
    """The switch, and the record of who needs it. Its calls block for a moment."""

    def __init__(
        self,
        records: Path = RECORDS,
        sysctls: Path = SYSCTLS,
        link_exists: Callable[[str], bool] = link_exists,
        namespace: Callable[[], str] = network_namespace,
    ) -> None:
        self._switch = SharedSysctls(
            {NAME: 1}, records, FAILING, sysctls, link_exists,
            of_namespace=True, namespace=namespace,
        )  # fmt: skip

    def hold(self, prefix: str, bridge: str) -> bool:
        """Switch forwarding on while an instance has its bridge, which is there already.

        True if it was off; safe to repeat; raises HostFailed.
        """
        return bool(self._switch.hold(prefix, bridge))

    def release(self, prefix: str) -> bool:
        """Note that the instance has stopped; True if forwarding was switched off."""
        return bool(self._switch.release(prefix))
