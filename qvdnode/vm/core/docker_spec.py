"""What is asked of a Docker engine, and what its answers mean. Pure.

The engine keeps a container for each guest: its name, its labels, its end. How the guest is
confined says oci_config.py; the same is said to the engine as far as it has words for it, for
programs that it starts in the guest (exec) and for administrators who look there.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from qvdnode.model.guest import GuestSpec
from qvdnode.vm.core import oci_config
from qvdnode.vm.core.lxc_config import CPU_PERIOD_US, INIT, MIB

Json = Mapping[str, Any]

LABEL: Final = "org.qvdnode"
INSTANCE, VM, GENERATION = f"{LABEL}.instance", f"{LABEL}.vm", f"{LABEL}.generation"
IMAGE: Final = "qvdnode-guest"
"""An image without a file in it: an engine makes no container of none."""
IMAGE_TAG: Final = "1"
OLDEST_API: Final = (1, 41)
"""The API version of Docker 20.10, the oldest that is tested."""
ID: Final = re.compile(r"[0-9a-f]{64}\Z")
API: Final = re.compile(r"(\d{1,3})\.(\d{1,3})\Z")


class OddAnswer(Exception):
    """The engine answered, but not with what its interface promises."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What the engine says of itself."""

    version: str
    runtimes: Mapping[str, str]
    """The names by which containers can ask for a runtime, and the program of each."""
    keeps_containers: bool
    """Whether they run on while the engine restarts (`live-restore`)."""
    rootless: bool = False
    """Whether it runs as a user of its own, in namespaces that do not see the node's mounts."""
    remaps_users: bool = False
    """Whether it gives containers ids of its choice (`userns-remap`)."""


@dataclass(frozen=True, slots=True)
class Container:
    """One of the engine's containers."""

    container_id: str
    names: tuple[str, ...]
    instance: str | None
    """Whose it is; None when it is not a guest."""


def body(spec: GuestSpec, instance: str, runtime: str) -> Json:
    """What the engine is told to make a container of."""
    memory = spec.memory_mib * MIB
    return {
        "Image": f"{IMAGE}:{IMAGE_TAG}",
        "Hostname": spec.hostname,
        "Entrypoint": [INIT],
        "Env": list(oci_config.ENVIRONMENT),
        "WorkingDir": "/",
        # The guest's one link is made by the node, whose packet rules know it.
        "NetworkDisabled": True,
        "Labels": {
            INSTANCE: instance,
            VM: str(spec.vm_id),
            GENERATION: str(spec.generation),
        },
        "HostConfig": {
            "Runtime": runtime,
            "NetworkMode": "none",
            "Privileged": False,
            "ReadonlyRootfs": True,
            "RestartPolicy": {"Name": "no"},
            # A guest could print without end.
            "LogConfig": {"Type": "none"},
            "CapDrop": ["ALL"],
            "CapAdd": oci_config.capabilities(),
            "Memory": memory,
            "MemorySwap": 2 * memory,
            "CpuPeriod": CPU_PERIOD_US,
            "CpuQuota": spec.cpu_pct * CPU_PERIOD_US // 100,
            "PidsLimit": spec.pids_max,
        },
    }


def api_version(answer: object) -> str:
    """The newest interface that the engine speaks, of its answer about versions."""
    found = _text(_table(answer), "ApiVersion")
    if API.match(found) is None:
        raise OddAnswer(f"its interface has the version {found[:40]!r}")
    return found


def too_old(api: str) -> bool:
    """Whether an engine with that interface cannot be used; raises OddAnswer."""
    found = API.match(api)
    if found is None:
        raise OddAnswer(f"its interface has the version {api[:40]!r}")
    return (int(found[1]), int(found[2])) < OLDEST_API


def facts(info: object) -> EngineFacts:
    """The engine's answer about itself; raises OddAnswer."""
    table = _table(info)
    found = table.get("SecurityOptions")
    # Each is `name=NAME`, with more facts behind a comma; older engines say NAME alone.
    secured = {
        str(option).split(",")[0].removeprefix("name=")
        for option in (found if isinstance(found, list) else ())
    }
    return EngineFacts(
        version=_text(table, "ServerVersion"),
        runtimes={name: _program(it) for name, it in _table(table.get("Runtimes")).items()},
        keeps_containers=table.get("LiveRestoreEnabled") is True,
        rootless="rootless" in secured,
        remaps_users="userns" in secured,
    )


def made(answer: object) -> str:
    """The id of what the engine has just made; raises OddAnswer."""
    return _id(_text(_table(answer), "Id"))


def containers(answer: object) -> list[Container]:
    """The engine's list of containers; raises OddAnswer."""
    return list(map(_container, _items(answer)))


def exit_code(answer: object) -> int | None:
    """The exit code of a program in a guest; None while it runs. Raises OddAnswer."""
    table = _table(answer)
    running, code = table.get("Running"), table.get("ExitCode")
    if running is True:
        return None
    if running is False and isinstance(code, int) and not isinstance(code, bool):
        return code
    raise OddAnswer("it does not say how a program ended")


def pid(answer: object) -> int:
    """The pid on the host of a program in a guest; 0 when it has none yet. Raises OddAnswer."""
    found = _table(answer).get("Pid")
    if found is None:
        return 0
    if not isinstance(found, int) or isinstance(found, bool):
        raise OddAnswer("it does not say which process a program is")
    return found


def _container(entry: object) -> Container:
    table = _table(entry)
    labels = _table(table.get("Labels") or {})
    instance = labels.get(INSTANCE)
    names = [str(name).removeprefix("/") for name in _items(table.get("Names") or [])]
    return Container(
        container_id=_id(_text(table, "Id")),
        names=tuple(names),
        instance=instance if isinstance(instance, str) else None,
    )


def _program(runtime: object) -> str:
    # Those of the engine itself may have none.
    found = _table(runtime).get("path")
    return found if isinstance(found, str) else ""


def _id(text: str) -> str:
    # It becomes a part of a file's name.
    if ID.match(text) is None:
        raise OddAnswer(f"{text[:80]!r} is not an id of a container")
    return text


def _text(table: Mapping[str, object], key: str) -> str:
    found = table.get(key)
    if not isinstance(found, str):
        raise OddAnswer(f"it has no {key}")
    return found


def _table(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise OddAnswer("it is not a table")
    return value


def _items(value: object) -> Iterator[object]:
    if not isinstance(value, list):
        raise OddAnswer("it is not a list")
    return iter(value)
