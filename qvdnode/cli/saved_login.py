"""What `qvd login` remembers: where the node is, its pin, the token; readable by its owner only."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from qvdnode.model.errors import HostFailed, Unauthenticated

FILE_NAME: Final = "admin-login.json"
LOG_IN_FIRST: Final = "Log in first: qvd login https://NODE:8444"


@dataclass(frozen=True, slots=True)
class SavedLogin:
    """One node's API and the right to use it."""

    url: str
    fingerprint: str
    """`SHA256:` and 64 hex digits of the node's certificate."""
    token: str


def config_folder(environ: Mapping[str, str]) -> Path:
    """Where the user's settings for `qvd` are kept."""
    given = environ.get("XDG_CONFIG_HOME", "")
    base = Path(given) if given.startswith("/") else Path(environ.get("HOME", "/")) / ".config"
    return base / "qvd"


def save(login: SavedLogin, folder: Path) -> None:
    """Write the login whole, mode 0600, replacing an older one; raises HostFailed."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = folder / f".{FILE_NAME}.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(login), file)
        temporary.replace(folder / FILE_NAME)
    except OSError as error:
        raise HostFailed(f"The login cannot be kept in {folder}: {error.strerror}.") from error


def load(folder: Path) -> SavedLogin:
    """The login kept there; raises Unauthenticated, saying what to do, when there is none."""
    try:
        return SavedLogin(**json.loads((folder / FILE_NAME).read_text(encoding="utf-8")))
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
