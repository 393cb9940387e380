"""Which processes a demo answers for, by their command lines."""

from pathlib import Path

import pytest

from qvdnode.cli.demo.plan import DemoPlan
from qvdnode.cli.demo.traces import is_ours

PLAN = DemoPlan(Path("/srv/demo"), "demo", None, 0, 0, None, once=False)


def line(*words: str) -> bytes:
    return "".join(f"{word}\0" for word in words).encode()


@pytest.mark.parametrize(
    "words",
    [
        ("/v/bin/python", "-m", "qvdnode", "serve", "--config", "/srv/demo/demo/node.toml"),
        ("/usr/lib/postgresql/bin/postgres", "-D", "/srv/demo/pg/data"),
        ("/v/bin/python", "-m", "qvdnode.daemon.watchdog", "/srv/demo/state/watchdog.json"),
        ("/v/bin/python", "-m", "qvdnode.cli.demo.database_keeper", "/srv/demo"),
        ("[lxc monitor] /srv/demo/lxc/5ec2e7 d1fqvd-1",),
        ("/v/bin/python", "-m", "qvdnode.image.unpack", "/srv/demo/images/.1.new/rootfs", "1"),
        (
            "/usr/bin/perl",
            "/usr/bin/mmdebstrap",
            "bookworm",
            "/srv/demo/demo/build/.icewm.building",
        ),
        ("tar", "--create", "--directory", "/srv/demo/demo/build/icewm", "."),
    ],
)
def test_what_the_demo_starts_is_its_own(words: tuple[str, ...]) -> None:
    assert is_ours(line(*words), PLAN)


@pytest.mark.parametrize(
    "words",
    [
        ("tail", "-f", "/srv/demo/demo/node.log"),
        ("less", "/srv/demo/demo/node.toml"),
        ("make", "demo", "ARGS=--state-dir /srv/demo/"),
        ("/bin/sh", "-c", "qvdnode demo --state-dir /srv/demo/ --screenshot /srv/demo/x.png"),
        ("/v/bin/python", "/v/bin/qvdnode", "demo", "--state-dir", "/srv/demo/"),
        ("/v/bin/python", "-m", "qvdnode", "serve", "--config", "/srv/demo2/demo/node.toml"),
        ("/usr/lib/postgresql/bin/postgres", "-D", "/srv/demo2/pg/data"),
    ],
)
def test_a_process_that_only_names_the_folder_is_not_the_node(words: tuple[str, ...]) -> None:
    assert not is_ours(line(*words), PLAN)
