"""What `qvd login` remembers: where the node is, its pin, the token; readable by its owner only."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from qvdnode.model.errors import HostFailed, Unauthenticated
from qvdnode.runtime.safe_files import open_regular, replace_file

FILE_NAME: Final = "admin-login.json"
LOG_IN_FIRST: Final = "Log in first: qvd login https://NODE:8444"


@dataclass(frozen=True, slots=True)
class OtherNode:
    """Another node of the same farm, for when the first one does not answer."""

    url: str
    fingerprint: str | None
    """As of the first one."""


@dataclass(frozen=True, slots=True)
class SavedLogin:
    """One node's API and the right to use it."""

    url: str
    fingerprint: str | None
    """`SHA256:` and 64 hex digits of the node's certificate; None: an authority vouches for it."""
    token: str
    ca: str | None = None
    """PEM file of an authority to trust besides the system's."""
    others: tuple[OtherNode, ...] = ()
    """The token is good at any node."""


def config_folder(environ: Mapping[str, str]) -> Path:
    """Where the user's settings for `qvd` are kept."""
    given = environ.get("XDG_CONFIG_HOME", "")
    base = Path(given) if given.startswith("/") else Path(environ.get("HOME", "/")) / ".config"
    return base / "qvd"


def save(login: SavedLogin, folder: Path) -> None:
    """Write the login whole, mode 0600, replacing an older one; raises HostFailed."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(folder / FILE_NAME, json.dumps(asdict(login)).encode())
    except OSError as error:
        raise HostFailed(f"The login cannot be kept in {folder}: {error.strerror}.") from error


def load(folder: Path) -> SavedLogin:
    """The login kept there; raises Unauthenticated, saying what to do, when there is none."""
    try:
        with open_regular(folder / FILE_NAME) as file:
            login = SavedLogin(**json.loads(file.read()))
            return replace(login, others=tuple(OtherNode(**other) for other in login.others))  # type: ignore[arg-type]  # as JSON has them
    except FileNotFoundError as error:
        raise Unauthenticated(LOG_IN_FIRST) from error
    except OSError as error:
        raise Unauthenticated(
            f"{folder / FILE_NAME} cannot be read: {error.strerror}. {LOG_IN_FIRST}"
        ) from error
    except (ValueError, TypeError) as error:
        raise Unauthenticated(f"{folder / FILE_NAME} is damaged. {LOG_IN_FIRST}") from error


def forget(folder: Path) -> bool:
    """Remove the login; False when there was none."""
    try:
        (folder / FILE_NAME).unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise HostFailed(f"{folder / FILE_NAME} cannot be removed: {error.strerror}.") from error
    return True
