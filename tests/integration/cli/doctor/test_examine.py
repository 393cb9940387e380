"""The doctor on this very host: it really tries, and leaves nothing behind."""

import asyncio
import json
import os
import secrets
import socket
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest

from qvdnode.cli.doctor.certificate import judge
from qvdnode.cli.doctor.examine import certificate_facts, nearest, stores
from qvdnode.cli.doctor.finding import Level
from qvdnode.daemon.load import parse
from qvdnode.host import id_reservations, mounts, process, project_quota
from qvdnode.host.probes import mapped_mounts
from qvdnode.host.probes.mapped_mounts import MountFacts
from qvdnode.model.guest import IDS_PER_GUEST
from qvdnode.net.nft import Nft
from qvdnode.runtime.clock import SystemClock
from qvdnode.tls.host_names import host_names
from qvdnode.tls.identity import NodeIdentity
from tests.harness.authority import Authority, Pair

IDS = 0x7000_0000
NOBODY = 65_534

ASKED_OF_IT = {
    "kernel", "cgroups", "overlay", "shifted mounts", "id ranges", "KSM", "swap", "KVM", "Docker",
    "nftables", "forwarding", "nxproxy", "clients.port", "disk", "disk limits", "clock",
    "certificate",
}  # fmt: skip

CERTIFICATE_SUBJECTS = (
    "certificate", "certificate names", "certificate chain", "certificate key", "certificate kind"
)  # fmt: skip


async def doctor(*argv: str) -> process.Finished:
    script = "from qvdnode.cli.qvdnode.program import main; main()"
    return await process.run([sys.executable, "-c", script, "doctor", *argv], check=False)


async def tables() -> list[str]:
    return [item["table"]["name"] for item in await Nft().listing({"tables": None})]


@pytest.mark.mounts
@pytest.mark.nftables
async def test_it_finds_what_this_host_can_do_and_leaves_nothing(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text(
        '[clients]\nport = 0\n[admin]\nport = 0\n[network]\nsubnet = "10.254.3.0/24"\n'
    )
    said = await doctor("--json", "--config", str(config))
    findings = {item["subject"]: item for item in json.loads(said.stdout)}
    assert set(findings) >= ASKED_OF_IT
    assert findings["configuration"]["text"] == str(config)
    assert all(item["fix"] for item in findings.values() if item["level"] != "ok")
    for subject in ("kernel", "overlay", "shifted mounts", "nftables", "nxproxy", "driver lxc"):
        assert findings[subject]["level"] == "ok", findings[subject]
    assert said.returncode == any(item["level"] == "error" for item in findings.values())
    assert not [name for name in await tables() if "doctor" in name]


async def test_an_error_ends_with_1_and_a_mend(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    config = tmp_path / "node.toml"
    config.write_text(
        f'[node]\nstate_dir = "{closed}/state"\n[image]\nfree_floor_mib = 999999999\n'
    )
    said = await doctor("--config", str(config))
    assert said.returncode == 1
    assert b"chmod o+x" in said.stdout
    assert b"Free space" in said.stdout


async def test_a_node_whose_guests_would_have_the_same_ids_is_named(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    ids = id_reservations.unused(16 * IDS_PER_GUEST, seed=secrets.randbits(16))
    config.write_text(f"[vm]\nid_base = {ids.start}\nid_slots = 16\n")
    with id_reservations.reserved(ids, tmp_path / "other"):
        said = await doctor("--json", "--config", str(config))
    (found,) = [item for item in json.loads(said.stdout) if item["subject"] == "id ranges"]
    assert found["level"] == "error"
    assert f"{tmp_path}/other" in found["text"]
    assert said.returncode == 1


async def test_a_route_that_meets_the_guests_addresses_is_named(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text('[network]\nsubnet = "10.254.4.0/24"\n')
    link = f"qvt{secrets.token_hex(3)}"
    await process.run(["ip", "link", "add", link, "type", "bridge"])
    try:
        await process.run(["ip", "address", "add", "10.254.4.129/25", "dev", link])
        await process.run(["ip", "link", "set", link, "up"])
        found = await finding("guest addresses", config)
    finally:
        await process.run(["ip", "link", "delete", link])
    assert (found["level"], link in found["text"]) == ("error", True)
    assert (await finding("guest addresses", config))["level"] == "ok"


async def test_ports_are_tried(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config.write_text(f'[clients]\naddress = "127.0.0.1"\nport = {port}\n')
        found = await finding(f"port {port}", config)
    assert (found["level"], found["fix"]) == ("error", "Set another clients.port.")
    config.write_text('[admin]\naddress = "192.0.2.7"\nport = 9\n')
    assert "admin.address" in (await finding("port 9", config))["fix"]


async def finding(subject: str, config: Path) -> dict[str, str]:
    said = await doctor("--json", "--config", str(config))
    (found,) = [item for item in json.loads(said.stdout) if item["subject"] == subject]
    return dict(found)


def test_a_folder_that_is_closed_to_us_is_no_obstacle_to_looking() -> None:
    with tempfile.TemporaryDirectory(prefix="qvdnode-test-", dir="/var/tmp") as name:
        closed = Path(name)
        os.seteuid(NOBODY)
        try:
            assert nearest(closed / "farm" / "state") == closed
            assert not project_quota.available(closed)
        finally:
            os.seteuid(0)


def test_homes_that_only_root_may_list_are_no_obstacle_to_looking() -> None:
    with tempfile.TemporaryDirectory(prefix="qvdnode-test-", dir="/var/tmp") as name:
        state = Path(name)
        (state / "homes").mkdir()
        for folder in (state, state / "homes"):
            folder.chmod(0o711)
        config = parse({"node": {"state_dir": name}})
        assert [store.folder for store in stores(config)] == [name]
        os.seteuid(NOBODY)
        try:
            assert stores(config) == []
        finally:
            os.seteuid(0)


@pytest.mark.postgres
async def test_a_database_of_ones_own_is_asked(tmp_path: Path, postgres_dsn: str) -> None:
    config = tmp_path / "node.toml"
    dead = "postgresql://u:secret@127.0.0.1:1/d"
    for dsn, level, told in (
        (postgres_dsn, "ok", "Yours, version"),
        (dead, "error", "127.0.0.1:1"),
    ):
        config.write_text(f'[database]\ndsn = "{dsn}"\n')
        said = await doctor("--json", "--config", str(config))
        (found,) = [it for it in json.loads(said.stdout) if it["subject"] == "PostgreSQL"]
        assert found["level"] == level
        assert told in found["text"]
        assert b"secret" not in said.stdout


async def test_a_broken_configuration_is_named(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text("[clients]\nprot = 1\n")
    said = await doctor("--config", str(config))
    assert said.returncode != 0
    assert b"clients.prot" in said.stderr


@pytest.mark.mounts
async def test_a_mount_is_tried_and_gone(tmp_path: Path) -> None:
    assert await mapped_mounts.probe(Path("/var/tmp"), IDS, 65_536) == MountFacts(None, None)
    assert not [point for point in mounts.under(Path("/var/tmp")) if ".doctor-" in str(point)]
    assert not [
        name
        for name in await asyncio.to_thread(os.listdir, "/var/tmp")
        if name.startswith(".doctor-")
    ]
    refused = await mapped_mounts.probe(tmp_path / "no", IDS, 65_536)
    assert "cannot be written" in str(refused.overlay)


@pytest.mark.mounts
async def test_a_file_system_without_overlays_is_told(tmp_path: Path) -> None:
    refused = await mapped_mounts.probe(Path("/proc/self"), IDS, 65_536)
    assert refused.overlay is not None
    assert refused.shifted is not None


def test_a_certificate_of_an_authority_is_looked_at(tmp_path: Path) -> None:
    chain, key = Authority().issue(("elsewhere.example",), left=timedelta(days=3)).write(tmp_path)
    key.chmod(0o644)
    tls = {"certificate": str(chain), "key": str(key)}
    every = dict.fromkeys(CERTIFICATE_SUBJECTS, Level.WARNING)
    assert certificate_levels({"tls": tls}) == every
    key.write_bytes(Pair.self_signed().key_pem())
    assert certificate_levels({"tls": tls}) == {"certificate": Level.ERROR}
    key.unlink()
    assert certificate_levels({"tls": tls}) == {"certificate": Level.ERROR}


def test_a_certificate_of_the_nodes_own_is_looked_at(tmp_path: Path) -> None:
    given = {"node": {"state_dir": str(tmp_path)}, "network": {"subnet": "10.254.3.0/24"}}
    assert certificate_levels(given) == {"certificate": Level.OK}
    NodeIdentity(tmp_path / "tls", SystemClock()).ensure(*host_names())
    assert certificate_levels(given) == dict.fromkeys(CERTIFICATE_SUBJECTS, Level.OK)


def certificate_levels(given: dict[str, dict[str, str]]) -> dict[str, Level]:
    """What the doctor thinks of each part of the certificate."""
    found = judge(certificate_facts(parse(given)), SystemClock().now())
    return {item.subject: item.level for item in found}
