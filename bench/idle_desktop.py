"""Shows what wakes an idle desktop: CPU time, context switches and memory of each process.

`python -m bench.idle_desktop /var/lib/qvdnode/vms/7` measures the running VM 7 of this host, as
root.
"""

import sys
import time
from pathlib import Path
from typing import Final

from qvdnode.host.idle_load import counters, loads, pids_of, table

SECONDS: Final = 30.0


def main() -> None:
    """Look at the VM whose folder is named."""
    if len(sys.argv) not in {2, 3}:
        sys.exit("usage: python -m bench.idle_desktop STATE_DIR/vms/ID [SECONDS]")
    pids = pids_of(Path(sys.argv[1]))
    if not pids:
        sys.exit(f"No process lives on a root below {sys.argv[1]}: does the VM run on this host?")
    seconds = float(sys.argv[2]) if len(sys.argv) == 3 else SECONDS
    before, began = counters(pids), time.monotonic()
    time.sleep(seconds)
    after = counters(pids)
    print(table(loads(before, after, time.monotonic() - began)))


if __name__ == "__main__":
    main()
