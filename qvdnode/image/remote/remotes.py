"""The remotes of a node's store, by name, in a file that only root reads. Everything blocks."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from qvdnode.image.core import remote_address
from qvdnode.image.core.remote_address import Address
from qvdnode.image.store.places import locked
from qvdnode.image.store.repository import told
from qvdnode.model.errors import BadImage, Conflict, Invalid, NotFound
from qvdnode.runtime.safe_files import replace_file

FILE: Final = "remotes.json"


@dataclass(frozen=True, slots=True)
class Remote:
    """One remote."""

    name: str
    url: str
    user: str = ""
    password: str = ""
    ca_file: str = ""
    plain_http: bool = False

    @property
    def address(self) -> Address:
        """Where it is; raises Invalid."""
        return remote_address.parse(self.url)


class Remotes:
    """The remotes of one store."""

    def __init__(self, store: Path) -> None:
        self._file = store / FILE
        self._lock = store / "remotes.lock"

    def all(self) -> list[Remote]:
        """All of them, by name; raises BadImage when the file is damaged, HostFailed."""
        return sorted(self._read().values(), key=lambda one: one.name)

    def get(self, name: str) -> Remote:
        """One of them; raises NotFound, BadImage, HostFailed."""
        found = self._read().get(name)
        if found is None:
            raise NotFound(
                f"There is no remote {name}: `qvdnode image remote add {name} URL` makes it."
            )
        return found

    def add(self, remote: Remote) -> None:
        """Add one; raises Invalid, Conflict when another one has the name, HostFailed."""
        remote_address.require_name(remote.name)
        address = remote.address
        if not address.host and (remote.user or remote.ca_file or remote.plain_http):
            raise Invalid("A folder needs no login and no certificate: leave these options out.")
        with told("the remote cannot be kept"):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self._lock, exclusive=True):
                known = self._read()
                before = known.get(remote.name)
                if before is not None and before != remote:
                    raise Conflict(
                        f"The remote {remote.name} exists already, at {before.url}: remove it first"
                        " if it shall change."
                    )
                self._write({**known, remote.name: remote})

    def remove(self, name: str) -> None:
        """Forget one; what came from it stays. Raises NotFound, HostFailed."""
        with told("the remote cannot be removed"), locked(self._lock, exclusive=True):
            self.get(name)
            self._write({key: one for key, one in self._read().items() if key != name})

    def _read(self) -> dict[str, Remote]:
        try:
            with told("the remotes cannot be read"):
                raw = self._file.read_bytes() if self._file.exists() else b"[]"
            return {one["name"]: Remote(**one) for one in json.loads(raw)}
        except (ValueError, TypeError, KeyError) as error:
            raise BadImage(
                f"{self._file} is damaged: remove it, and add the remotes again"
            ) from error

    def _write(self, remotes: Mapping[str, Remote]) -> None:
        text = json.dumps([asdict(one) for one in remotes.values()], indent=1)
        replace_file(self._file, text.encode() + b"\n")
