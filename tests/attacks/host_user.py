"""Another user of the host, who has no part in the node: what such a one reaches."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from qvdnode.host import process

NOBODY = "65534"
PROGRAM = """
import json, os, socket, stat, sys
reached = []
for path in json.load(sys.stdin):
    try:
        mode = os.stat(path, follow_symlinks=False).st_mode
        if stat.S_ISSOCK(mode):
            with socket.socket(socket.AF_UNIX) as dialled:
                dialled.settimeout(2)
                dialled.connect(path)
        elif stat.S_ISDIR(mode):
            os.listdir(path)
        elif stat.S_ISREG(mode):
            open(path, "rb").close()
        else:
            continue
        reached.append(path)
    except OSError:
        pass
print(json.dumps(reached))
"""


async def reached(paths: Iterable[Path], *, uid: str = NOBODY) -> set[str]:
    """Those of the folders that such a user can list, files to read, and sockets to dial."""
    done = await process.run(
        [
            "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
            sys.executable, "-I", "-S", "-c", PROGRAM,
        ],
        stdin=json.dumps([str(path) for path in paths]).encode(),
    )  # fmt: skip
    return set(json.loads(done.stdout))


def listener(path: str) -> str:
    """A shell command that leaves a unix socket there which all may dial, for half a minute."""
    code = (
        "use IO::Socket::UNIX; umask 0;"
        "my $s = IO::Socket::UNIX->new(Type => SOCK_STREAM(), Local => shift, Listen => 5);"
        "sleep 30;"
    )
    return (
        f"setsid -f perl -e '{code}' {path} </dev/null >/dev/null 2>&1;"
        f" until [ -S {path} ]; do sleep 0.05; done"
    )
