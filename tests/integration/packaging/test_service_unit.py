"""The systemd unit: understood by systemd, and harmless to the desktops that outlive the node."""

import configparser
import shutil
from pathlib import Path

import pytest

from qvdnode.cli.demo_node import STOP_LIMIT_S
from qvdnode.host import process

UNIT = Path(__file__).parents[3] / "packaging" / "qvdnode.service"
PROGRAM = "/opt/qvdnode/.venv/bin/qvdnode"


@pytest.fixture
def service() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None)
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
        ["systemd-analyze", "verify", "--man=no", unit], check=False, limit_s=15
    )
    complaints = [line for line in verdict.stderr.decode().splitlines() if "qvdnode" in line]
    assert complaints == []
    assert verdict.returncode == 0


async def test_systemd_would_complain_about_a_mistake(tmp_path: Path) -> None:
    unit = tmp_path / "qvdnode.service"
    unit.write_text(UNIT.read_text().replace("KillMode=process", "KillMode=nobody"))
    verdict = await process.run(
        ["systemd-analyze", "verify", "--man=no", unit], check=False, limit_s=15
    )
    assert "kill mode" in verdict.stderr.decode()


def test_a_stop_leaves_desktops_alone(service: configparser.SectionProxy) -> None:
    assert service["KillMode"] == "process"
    assert service["Delegate"] == "yes"
    assert service["OOMPolicy"] == "continue"


def test_a_stop_with_desktops_has_the_time_it_takes(service: configparser.SectionProxy) -> None:
    assert int(service["TimeoutStopSec"]) >= 2 * STOP_LIMIT_S


@pytest.mark.parametrize(
    "inherited",
    [
        "NoNewPrivileges",
        "PrivateMounts",
        "PrivateTmp",
        "ProtectSystem",
        "RestrictNamespaces",
        "SystemCallFilter",
    ],
)
def test_nothing_is_set_that_desktops_would_inherit(
    service: configparser.SectionProxy, inherited: str
) -> None:
    assert inherited not in service
