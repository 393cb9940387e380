"""The systemd unit: understood by systemd, and harmless to the desktops that outlive the node."""

import configparser
import json
import re
import shutil
from pathlib import Path

import pytest

from qvdnode.cli.demo.node import STOP_LIMIT_S
from qvdnode.host import process
from qvdnode.host.core_dumps import LIMIT_BYTES
from tests.harness.node import fewer_rights

UNIT = Path(__file__).parents[3] / "packaging" / "qvdnode.service"
PROGRAM = "/opt/qvdnode/.venv/bin/qvdnode"


@pytest.fixture
def service() -> configparser.SectionProxy:
    # a list may be written on several lines of one name
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as its manual has it
    parser.read(UNIT)
    return parser["Service"]


async def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "qvdnode"
    shutil.copy("/bin/true", program)
    text = UNIT.read_text()
    assert PROGRAM in text
    unit = tmp_path / "qvdnode.service"
    unit.write_text(text.replace(PROGRAM, str(program)))
    verdict = await process.run(
        ["systemd-analyze", "verify", "--man=no", unit], check=False, limit_s=60
    )
    complaints = [line for line in verdict.stderr.decode().splitlines() if "qvdnode" in line]
    assert complaints == []
    assert verdict.returncode == 0


async def test_systemd_would_complain_about_a_mistake(tmp_path: Path) -> None:
    unit = tmp_path / "qvdnode.service"
    unit.write_text(UNIT.read_text().replace("KillMode=process", "KillMode=nobody"))
    verdict = await process.run(
        ["systemd-analyze", "verify", "--man=no", unit], check=False, limit_s=60
    )
    assert "kill mode" in verdict.stderr.decode()


def test_a_stop_leaves_desktops_alone(service: configparser.SectionProxy) -> None:
    assert service["KillMode"] == "process"
    assert service["Delegate"] == "yes"
    assert service["OOMPolicy"] == "continue"


def test_a_stop_with_desktops_has_the_time_it_takes(service: configparser.SectionProxy) -> None:
    assert int(service["TimeoutStopSec"]) >= 2 * STOP_LIMIT_S


EXPOSURE_MAX = 8.8
"""By systemd 252; 9.0 before capabilities were listed. The rest is what the unit says."""


async def test_whatever_is_left_open_has_its_reason_in_the_unit(
    service: configparser.SectionProxy,
) -> None:
    judged = await _security("--json=short")
    found = json.loads(judged.stdout)
    comment = {
        name
        for line in UNIT.read_text().partition("[Unit]")[0].splitlines()
        if line.startswith("#   ")
        for word in line[1:].split()
        for name in word.split("/")
    }
    missing = set()
    for item in found:
        name = item["name"].partition("=")[0].partition("/")[0]
        if item["set"] is not True and name not in comment | {"CapabilityBoundingSet"}:
            missing.add(name)
    assert missing == set()
    assert {name for name in service if name in comment} <= {"Delegate"}, "set and left out"


async def test_the_exposure_gets_no_worse() -> None:
    said = (await _security("--no-pager")).stdout.decode()
    figure = re.search(r"Overall exposure level.*?: ([0-9.]+)", said)
    assert figure is not None
    assert float(figure.group(1)) <= EXPOSURE_MAX


async def _security(*options: str) -> process.Finished:
    return await process.run(
        ["systemd-analyze", "security", "--offline=yes", *options, UNIT], check=False, limit_s=60
    )


def test_what_a_node_never_needs_is_not_among_its_capabilities() -> None:
    kept = next(word for word in fewer_rights() if word.startswith("--bounding-set"))
    for never in ("sys_module", "sys_boot", "sys_time", "sys_rawio", "syslog", "mac_admin", "bpf"):
        assert never not in kept
    assert "-all" in kept


def test_no_core_dump_is_taken_of_desktops_or_node(service: configparser.SectionProxy) -> None:
    assert int(service["LimitCORE"]) == LIMIT_BYTES


@pytest.mark.parametrize(
    "inherited",
    [
        "LockPersonality",
        "MemoryDenyWriteExecute",
        "NoNewPrivileges",
        "PrivateMounts",
        "PrivateTmp",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "ProtectSystem",
        "RestrictAddressFamilies",
        "RestrictNamespaces",
        "RestrictSUIDSGID",
        "SystemCallArchitectures",
        "SystemCallFilter",
    ],
)
def test_nothing_is_set_that_desktops_would_inherit(
    service: configparser.SectionProxy, inherited: str
) -> None:
    assert inherited not in service
