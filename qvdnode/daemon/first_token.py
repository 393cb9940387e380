"""The first admin token: made once, kept for root alone, so that somebody can log in."""

import logging
import os
from pathlib import Path
from typing import Final

from qvdnode.auth.operators import Operators

log = logging.getLogger(__name__)

FILE_NAME: Final = "admin.token"
OWNER: Final = "first-admin"


async def ensure_first_token(operators: Operators, state_dir: Path) -> Path:
    """Where the token is, made now if it is not there; raises Unavailable."""
    path = state_dir / FILE_NAME
    if path.exists():
        return path
    _, token = await operators.issue(OWNER)
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token + "\n")
    temporary.rename(path)
    log.info("first_admin_token_made", extra={"file": str(path)})
    return path
