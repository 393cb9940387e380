"""Stores the certificates that a user has accepted, one line per host: `host:port SHA256:...`.

A host that an authority vouched for has the word `authority` instead: it may show another
certificate of such a kind, but not fall back to one that only a person could accept.

The file is the user's alone (0600), and plain text: forgetting a host is removing a line.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from qvdnode.client.core.certificate_refusal import Untrusted
from qvdnode.client.target import Target
from qvdnode.model.errors import Forbidden, HostFailed
from qvdnode.runtime.safe_files import open_regular, replace_file

AUTHORITY: Final = "authority"
"""Stored instead of a pin: a certificate authority signed the host's certificate."""


def default_path(environ: Mapping[str, str], home: Path) -> Path:
    """Where the pins are kept: under XDG_DATA_HOME."""
    data = environ.get("XDG_DATA_HOME", "")
    root = Path(data) if data.startswith("/") else home / ".local" / "share"
    return root / "qvdnode" / "known_servers"


class PinStore:
    """The file of pins."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, target: Target) -> str | None:
        """The pin of a host, None when it was never accepted; raises HostFailed."""
        return self._read().get(str(target))

    def put(self, target: Target, pin: str) -> None:
        """Remember a pin; raises HostFailed when the file cannot be written."""
        pins = {**self._read(), str(target): pin}
        try:
            self._write("".join(f"{host} {pin}\n" for host, pin in sorted(pins.items())))
        except OSError as error:
            raise HostFailed(
                f"The fingerprint of {target} cannot be kept in {self.path}: {error.strerror}. "
                "XDG_DATA_HOME may name a folder that can be written."
            ) from error

    def _write(self, text: str) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self.path, text.encode())

    def _read(self) -> dict[str, str]:
        try:
            with open_regular(self.path) as file:
                lines = file.read().decode("utf-8").splitlines()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise HostFailed(f"{self.path} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise HostFailed(
                f"{self.path} is not text: move it away, and the hosts will be new again."
            ) from error
        fields = (line.split() for line in lines)
        return {words[0]: words[1] for words in fields if len(words) == 2}


def another_pin(target: Target, seen: str, wanted: str) -> Forbidden:
    """The error for a certificate that is not the one wanted."""
    return Forbidden(
        f"The certificate of {target} is not the one expected; nothing was sent to it. "
        f"Expected {wanted}, seen {seen}. If your administrator confirms the new one, connect "
        "with --pin and the new fingerprint; otherwise somebody may be in between."
    )


def fallen_back(target: Target, refusal: Untrusted) -> Forbidden:
    """The error for a host that an authority vouched for before, and none does any more."""
    return Forbidden(
        f"{refusal} An authority vouched for {target} before: somebody may be in between. If your "
        "administrator confirms the new certificate, connect with --pin and its fingerprint."
    )


def first_pin(store: PinStore, target: Target, seen: str, confirm: Callable[[str], bool]) -> str:
    """Ask the person whether to trust a host met for the first time, and remember a yes.

    Raises Forbidden on a no.
    """
    if not confirm(f"{target} is new here. Its certificate is\n  {seen}\nTrust it?"):
        raise Forbidden(f"The certificate of {target} was not accepted; nothing was sent to it.")
    store.put(target, seen)
    return seen
