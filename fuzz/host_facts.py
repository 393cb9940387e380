"""What the host says about itself, in files that others write too."""

import contextlib
import re
from typing import Final

from fuzz.target import Target
from qvdnode.host.mounts import parse_mountinfo
from qvdnode.host.probes.accounts import parse_ranges
from qvdnode.image.core import apt_sources
from qvdnode.memopt.core import page_runs
from qvdnode.memopt.core.meminfo import parse_meminfo, parse_pressure
from qvdnode.net.core.resolvers import usable


def host_files(data: bytes) -> None:
    """Lines that make no sense are passed over."""
    text = data.decode("utf-8", "replace")
    found = usable(text)
    if any(address.is_loopback for address in found.servers):
        raise AssertionError(text)
    # The session script of a guest takes these characters, and no more of them.
    if re.fullmatch(r"[a-z0-9_. -]{0,256}", " ".join(found.search)) is None:
        raise AssertionError(text)
    parse_ranges(text.splitlines())
    parse_mountinfo(data.decode("latin-1"))
    parse_pressure(text)
    for area in page_runs.areas(text):
        # A program names its areas: what it maps, and where.
        runs = page_runs.resident_runs(area, data)
        if len(page_runs.packed([run for run in runs if sum(run) < 2**64], 8)) > 8 * 16:
            raise AssertionError(text)
    apt_sources.for_suite([text], "bookworm")
    with contextlib.suppress(KeyError):
        parse_meminfo(text)


TARGETS: Final[dict[str, Target]] = {
    "host_files": Target(
        host_files,
        (
            b"search example.org a.b\ndomain c\n",
            b"nameserver 192.0.2.1\nnameserver 127.0.0.1 # x\n",
            b"root:1879048192:65536\nMemTotal: 1 kB\nMemAvailable: 1 kB\n",
            b"36 35 98:0 / /mnt\\040x rw - ext4 /dev/sda rw\nsome avg10=1.5 avg60=0\n",
            b"Types: deb\nURIs: http://a/\nSuites: bookworm\nComponents: main\n",
            b"deb [a=b] http://b/ bookworm main\n",
            b"5650765be000-5650849bd000 rw-p 00000000 00:00 0  [heap]\n",
        ),
    ),
}
