"""The first admin token: made once for a farm, readable by root alone."""

import logging
import secrets
from pathlib import Path
from typing import Final

from qvdnode.auth.operators import Operators
from qvdnode.model.errors import Conflict, Unauthenticated
from qvdnode.runtime.safe_files import replace_file

log = logging.getLogger(__name__)

FILE_NAME: Final = "admin.token"
OWNER: Final = "first-admin"


async def ensure_first_token(operators: Operators, state_dir: Path) -> Path | None:
    """The token's file, made now if the farm never had one; None if the file was removed.

    Raises Unavailable.
    """
    path = state_dir / FILE_NAME
    if path.exists():
        return path
    try:
        _, token = await operators.issue(OWNER)
    except Conflict:
        return None  # kept elsewhere by now, or this farm's first node has it
    return _keep(path, token)


async def ensure_working_token(operators: Operators, state_dir: Path) -> Path:
    """Where a token is that works, made now if need be; raises Unavailable.

    For `qvdnode init`: root on a node can log in again, whatever happened to the first token.
    """
    path = state_dir / FILE_NAME
    try:
        await operators.operator(path.read_text(encoding="ascii").strip())
    except (FileNotFoundError, UnicodeDecodeError, Unauthenticated):
        pass
    else:
        return path
    try:
        _, token = await operators.issue(OWNER)
    except Conflict:
        _, token = await operators.issue(f"{OWNER}-{secrets.token_hex(4)}")
    return _keep(path, token)


def _keep(path: Path, token: str) -> Path:
    replace_file(path, f"{token}\n".encode("ascii"))
    log.info("first_admin_token_made", extra={"file": str(path)})
    return path
