"""Run with python -m qvdnode.client: shows one desktop, for programs; people use `qvd connect`.

The password is the first line of stdin; each sentence of progress is a line on stdout.
"""

import argparse
import random
import sys

from qvdnode.client.connect import Account, Client, Wishes
from qvdnode.client.core.backoff import Backoff
from qvdnode.client.nx_proxy import StreamEnd
from qvdnode.client.signals import run_to_signal
from qvdnode.client.target import parse_target
from qvdnode.client.trust import Trust
from qvdnode.model.errors import FarmError
from qvdnode.runtime.clock import SystemClock
from qvdnode.wire.plain_text import printable


def main() -> int:
    """Show the desktop until it ends; 0 when it ended in good order."""
    parser = argparse.ArgumentParser(prog="python -m qvdnode.client", description=__doc__)
    parser.add_argument("host", help="HOST[:PORT]")
    parser.add_argument("--user", required=True, help="login, with @tenant where there are several")
    parser.add_argument("--pin", required=True, help="fingerprint of the server's certificate")
    parser.add_argument("--vm", help="name or number of the desktop")
    parser.add_argument("--display", required=True, help="X display to show it on")
    parser.add_argument("--fullscreen", action="store_true")
    parser.add_argument("--geometry", help="WIDTHxHEIGHT")
    given = parser.parse_args()
    password = sys.stdin.readline().rstrip("\r\n")
    try:
        account = Account(parse_target(given.host), Trust(given.pin), given.user, password)
        wishes = Wishes(
            display=given.display,
            vm=given.vm,
            fullscreen=given.fullscreen,
            geometry=given.geometry,
        )
        client = Client(account, wishes, _tell, SystemClock(), random.Random())
        ending = run_to_signal(client.run(Backoff()))
    except FarmError as error:
        _tell(str(error))
        return 1
    return int(ending is StreamEnd.DROPPED)


def _tell(sentence: str) -> None:
    sys.stdout.write(f"{printable(sentence)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
