"""What an operator can set about the drivers, which run a node's desktops."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from qvdnode.vm.core.kvm_argv import Accelerator

RUNTIME_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class DockerSettings:
    """Desktops as containers of a Docker engine; docs/drivers.md says how to set up the engine."""

    socket: Path = Path("/run/docker.sock")
    """The unix socket at which the engine listens; it must be one of this host."""
    runtime: str = "qvdnode"
    """The name by which the engine knows this node's runtime; another for each node of a host."""

    def __post_init__(self) -> None:
        """Refuse what could be no socket or no runtime."""
        if not self.socket.is_absolute():
            raise ValueError("socket must be an absolute path")
        if RUNTIME_NAME.match(self.runtime) is None:
            raise ValueError("runtime must be a name of letters, digits, '_', '.' and '-'")


class WantedAccelerator(StrEnum):
    """What is to carry out the instructions of machines."""

    AUTO = "auto"
    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True, slots=True)
class KvmSettings:
    """Desktops as virtual machines; docs/drivers.md says what the host needs."""

    accelerator: WantedAccelerator = WantedAccelerator.AUTO
    """`auto` boots a kernel with KVM once, and falls back to `tcg`, which is software: slow."""

    @property
    def fixed_accelerator(self) -> Accelerator | None:
        """The one that is asked for; None for the one that works."""
        if self.accelerator is WantedAccelerator.AUTO:
            return None
        return Accelerator(self.accelerator.value)


@dataclass(frozen=True, slots=True)
class DriversSettings:
    """The `[drivers]` section: a section for each driver that has settings."""

    docker: DockerSettings = field(default_factory=DockerSettings)
    kvm: KvmSettings = field(default_factory=KvmSettings)
