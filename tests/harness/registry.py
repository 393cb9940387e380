"""Debian's docker-registry on loopback, with a folder of its own."""

import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from qvdnode.host import process
from tests.waiting import until

READY_S = 20.0


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextlib.asynccontextmanager
async def registry(folder: Path) -> AsyncIterator[str]:
    """A registry without encryption and login; its HOST:PORT."""
    port = _free_port()
    config = folder / "registry.yml"
    config.write_text(
        "version: 0.1\n"
        "log: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'blobs'}}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    with (folder / "registry.log").open("wb") as output:
        child = await process.launch(
            ["docker-registry", "serve", str(config)],
            env={"HOME": str(folder), "OTEL_TRACES_EXPORTER": "none"},
            output=output,
        )
    try:
        await until(lambda: _answers(port), limit_s=READY_S)
        yield f"127.0.0.1:{port}"
    finally:
        await process.end(child, grace_s=2)
