"""Creates our system accounts, and checks which folders such an account can enter."""

import os
import pwd
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvdnode.host.process import run
from qvdnode.model.errors import HostFailed

NO_SHELL: Final = ("--no-create-home", "--shell", "/usr/sbin/nologin")


@dataclass(frozen=True, slots=True)
class SystemAccount:
    """An account without password, home and shell."""

    name: str
    uid: int
    gid: int

    def command(self, *argv: str | Path) -> tuple[str, ...]:
        """The command line that runs `argv` as this account, with nothing of root's left."""
        words = ("setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups")
        # the account may have no access to the current working directory
        return (*words, "--", "env", "--chdir=/", *map(str, argv))


async def ensure_account(name: str) -> SystemAccount:
    """The account of that name, made if need be; raises HostFailed."""
    if (found := _lookup(name)) is not None:
        return found
    made = await run(
        ["useradd", "--system", "--user-group", "--home-dir", "/nonexistent", *NO_SHELL, name],
        check=False,
    )
    # another node may have made it in the same moment: then ours failed, and it is there
    if (found := _lookup(name)) is None:
        raise HostFailed(f"The system account {name} cannot be made: {made.stderr_tail()}")
    return found


def closed_folder(folder: Path, account: SystemAccount | None = None) -> Path | None:
    """The topmost folder down to `folder` itself that the account may not pass, or None.

    Without an account it is for somebody whom the host does not know, as the users of guests are.
    """
    absolute = folder.absolute()
    for place in (*reversed(absolute.parents), absolute):
        status = place.stat()
        if account is not None and status.st_uid == account.uid:
            may_pass = status.st_mode & stat.S_IXUSR
        elif account is not None and status.st_gid == account.gid:
            may_pass = status.st_mode & stat.S_IXGRP
        else:
            may_pass = status.st_mode & stat.S_IXOTH
        if not may_pass:
            return place
    return None


def own_folder(path: Path, account: SystemAccount) -> None:
    """Make a folder that only this account (and root) can enter, or make it so."""
    _folder(path, account, owner=account.uid, mode=0o700)


def passable_folder(path: Path, account: SystemAccount) -> None:
    """Make a folder of root's that this account can pass and read, and nobody else, or make it so.

    Root can work in it safely, since the account cannot write there.
    """
    _folder(path, account, owner=os.geteuid(), mode=0o750)


def _folder(path: Path, account: SystemAccount, *, owner: int, mode: int) -> None:
    """Raises HostFailed for a folder of anybody else's, OSError for what is none, as a link."""
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(folder).st_uid
        if found not in {0, os.geteuid(), account.uid}:
            raise HostFailed(
                f"{path} belongs to the user id {found}, and not to the account {account.name}: "
                "remove it, or choose another state_dir"
            )
        os.fchown(folder, owner, account.gid)
        os.fchmod(folder, mode)
    finally:
        os.close(folder)


def _lookup(name: str) -> SystemAccount | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return SystemAccount(name, entry.pw_uid, entry.pw_gid)
