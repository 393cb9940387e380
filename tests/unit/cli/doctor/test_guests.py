"""What desktops stand on, judged."""

from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.cli.doctor import guests
from qvdnode.cli.doctor.examine import PACKAGE_LIST
from qvdnode.cli.doctor.finding import Finding, Level
from qvdnode.cli.doctor.guests import DiskFacts, Program, ProgramFacts
from qvdnode.host.apparmor import AppArmor
from qvdnode.host.probes.accounts import AccountFacts, OwnedIds
from qvdnode.host.probes.mapped_mounts import MountFacts
from qvdnode.host.probes.programs import parse_package_list
from qvdnode.image.core.disk_promise import StoreFigures
from qvdnode.model.guest import DriverCheck

START, COUNT = 0x7000_0000, 0x1000_0000
DISK = DiskFacts(Path("/var/lib"), 9000, 2048, True, None, MountFacts(None, None))
INSTALLED = {item.name: "1.0" for item in guests.PROGRAMS}
PROGRAMS = ProgramFacts(INSTALLED, (), own_environment=True)


def without(name: str) -> ProgramFacts:
    return replace(PROGRAMS, versions={**INSTALLED, name: None})


def worst(findings: list[Finding]) -> list[tuple[str, Level]]:
    return [(item.subject, item.level) for item in findings if item.level is not Level.OK]


def test_ids_of_guests_may_be_roots_and_nobody_elses() -> None:
    alice, root = OwnedIds("alice", 100_000, 65_536), OwnedIds("root", START, COUNT)
    fine = AccountFacts((alice, root), (root,), (OwnedIds("user alice", 1000, 1),))
    assert guests.ids(fine, START, COUNT).level is Level.OK


@pytest.mark.parametrize(
    "facts",
    [
        AccountFacts((OwnedIds("bob", START + COUNT - 1, 5),), (), ()),
        AccountFacts((), (OwnedIds("bob", 0, START + 1),), ()),
        AccountFacts((), (), (OwnedIds("bob", START + 3, 1),)),
    ],
)
def test_somebody_elses_id_among_them_is_an_error(facts: AccountFacts) -> None:
    found = guests.ids(facts, START, COUNT)
    assert found.level is Level.ERROR
    assert "bob" in found.text


def test_ids_of_another_node_of_the_host_are_an_error() -> None:
    found = guests.ids(AccountFacts((), (), ()), START, COUNT, "/srv/other")
    assert found.level is Level.ERROR
    assert "/srv/other" in found.text
    assert "vm.id_base" in found.fix


def test_a_good_disk_has_nothing_to_mend() -> None:
    assert worst(guests.disk(DISK)) == []
    assert worst(guests.disk(replace(DISK, project_quota=False))) == []


@pytest.mark.parametrize(
    ("facts", "subject"),
    [
        (replace(DISK, free_mib=2047), "disk"),
        (replace(DISK, closed_folder=Path("/root")), "state folder"),
        (replace(DISK, mounts=MountFacts("Operation not permitted", None)), "overlay"),
        (replace(DISK, mounts=MountFacts(None, "Invalid argument")), "shifted mounts"),
    ],
)
def test_each_lack_of_the_disk_is_an_error(facts: DiskFacts, subject: str) -> None:
    assert worst(guests.disk(facts)) == [(subject, Level.ERROR)]


@pytest.mark.parametrize(("promised", "level"), [(8_000, Level.OK), (8_001, Level.WARNING)])
def test_a_disk_that_is_promised_too_often_is_told(promised: int, level: Level) -> None:
    stores = (StoreFigures("/state", 9_000, 8_000, promised),)
    (finding,) = [
        found
        for found in guests.disk(replace(DISK, stores=stores))
        if found.subject == "disk promises"
    ]
    assert finding.level is level
    assert f"{promised} MiB of 8000 MiB" in finding.text


def test_all_programs_are_fine() -> None:
    assert worst(guests.programs(PROGRAMS)) == []


@pytest.mark.parametrize(
    ("facts", "subject", "level"),
    [
        (without("mke2fs"), "mke2fs", Level.ERROR),
        (without("nxproxy"), "nxproxy", Level.WARNING),
        (without("bwrap"), "bwrap", Level.WARNING),
        (without("mmdebstrap"), "mmdebstrap", Level.WARNING),
        (without("tcc"), "tcc", Level.WARNING),
        (without("nft"), "nft", Level.WARNING),
        (replace(PROGRAMS, missing_packages=("xvfb",)), "packages", Level.WARNING),
        (replace(PROGRAMS, missing_packages=None), "packages", Level.WARNING),
        (replace(PROGRAMS, own_environment=False), "Python", Level.WARNING),
    ],
)
def test_each_missing_program_is_told(facts: ProgramFacts, subject: str, level: Level) -> None:
    assert worst(guests.programs(facts)) == [(subject, level)]


WORKS = DriverCheck(version="LXC 5.0.2")
BROKEN = DriverCheck(problem="lxc-start is not installed", fix="Run: apt-get install lxc")
NOT_SET_UP = replace(BROKEN, installed=False)
SLOW = replace(BROKEN, problem=None, warning="every desktop is slow")


@pytest.mark.parametrize(
    ("checks", "levels"),
    [
        ({"lxc": WORKS}, {"driver lxc": Level.OK}),
        ({"lxc": BROKEN}, {"driver lxc": Level.ERROR}),
        ({"kvm": WORKS, "lxc": BROKEN}, {"driver kvm": Level.OK, "driver lxc": Level.WARNING}),
        ({"kvm": BROKEN, "lxc": BROKEN}, {"driver kvm": Level.ERROR, "driver lxc": Level.ERROR}),
        ({"docker": NOT_SET_UP, "lxc": WORKS}, {"driver docker": Level.OK, "driver lxc": Level.OK}),
        ({"docker": NOT_SET_UP}, {"driver docker": Level.ERROR}),
        ({"kvm": SLOW, "lxc": WORKS}, {"driver kvm": Level.WARNING, "driver lxc": Level.OK}),
    ],
)
def test_each_driver_is_told_and_one_that_works_is_enough(
    checks: dict[str, DriverCheck], levels: dict[str, Level]
) -> None:
    found = guests.drivers(checks)
    assert {finding.subject: finding.level for finding in found} == levels
    fixes = {finding.fix for finding in found if finding.level is not Level.OK}
    assert fixes <= {BROKEN.fix}


@pytest.mark.parametrize("item", guests.PROGRAMS)
def test_the_fix_names_a_package_of_the_list(item: Program) -> None:
    found = guests.program(item, None)
    packages = parse_package_list(PACKAGE_LIST.read_text(encoding="utf-8"))
    assert found.fix.removeprefix("Run: apt-get install ") in packages


def test_an_old_python_is_an_error() -> None:
    assert guests.python((3, 10), own_environment=True).level is Level.ERROR


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (AppArmor.READY, Level.OK),
        (AppArmor.ABSENT, Level.OK),
        (AppArmor.UNKNOWN, Level.OK),
        (AppArmor.WITHOUT_PROFILE, Level.WARNING),
    ],
)
def test_a_profile_that_could_confine_guests_and_is_not_loaded_is_told(
    found: AppArmor, level: Level
) -> None:
    finding = guests.apparmor(found)
    assert (finding.level, finding.subject) == (level, "AppArmor")
