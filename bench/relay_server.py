"""The real endpoint and relay in a process of their own, with one user and one VM per connection.

Run by relay.py: `python -m bench.relay_server TLS_FOLDER PORT DISPLAY_PORT`.
"""

import sys
from pathlib import Path
from typing import Final

import uvloop

from qvdnode.broker.endpoint import Endpoint
from qvdnode.broker.settings import BrokerSettings
from qvdnode.model.seat import DisplayAddress
from qvdnode.proxy.guest_end import DisplayDialer
from qvdnode.runtime.clock import SystemClock
from qvdnode.tls.identity import NodeIdentity
from tests.fakes.desktops import FakeAuthenticator, FakeDesktops, vm

VMS: Final = 1_000


async def serve(tls_folder: Path, port: int, display_port: int) -> None:
    """Serve until killed."""
    identity = NodeIdentity(tls_folder, SystemClock())
    identity.ensure(["localhost"])
    desktops = FakeDesktops(
        address=DisplayAddress("127.0.0.1", display_port),
        vms={number: vm(number) for number in range(1, VMS + 1)},
    )
    settings = BrokerSettings(address="127.0.0.1", port=port)
    endpoint = Endpoint(
        desktops,
        FakeAuthenticator(),
        identity.context,
        SystemClock(),
        settings,
        DisplayDialer(settings.relay),
    )
    endpoint.listen()
    await endpoint.run()


def main() -> None:
    """Read the command line and serve."""
    tls_folder, port, display_port = sys.argv[1:]
    uvloop.run(serve(Path(tls_folder), int(port), int(display_port)))


if __name__ == "__main__":
    main()
