"""What is ok, worth a warning, or an error about a host."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from qvdnode.cli.doctor import host
from qvdnode.cli.doctor.finding import Level
from qvdnode.host.probes.system import Kvm, SystemFacts

NOW = datetime(2026, 11, 23, tzinfo=UTC)
GOOD = SystemFacts(
    release="6.1.0-18-amd64",
    cgroup_layout="v2",
    cgroup_controllers=frozenset({"cpu", "io", "memory", "pids"}),
    user_namespaces_max=96_000,
    user_namespaces_nest=True,
    ksm_running=True,
    swap_mib=4096,
    zram=True,
    memory_mib=16_384,
    kvm=Kvm.ANSWERS,
    docker=False,
    clock_synchronised=True,
)


def worst(facts: SystemFacts, now: datetime = NOW) -> list[tuple[str, Level]]:
    findings = host.judge(facts, now)
    return [(item.subject, item.level) for item in findings if item.level is not Level.OK]


def test_a_good_host_has_nothing_to_mend() -> None:
    findings = host.judge(GOOD, NOW)
    assert {item.level for item in findings} == {Level.OK}
    assert not any(item.fix for item in findings)


def test_limits_that_the_node_raises_are_told_and_fine() -> None:
    low = replace(GOOD, low_limits=("kernel.pty.max = 4096",))
    told = [item for item in host.judge(low, NOW) if item.subject == "kernel limits"]
    assert [item.level for item in told] == [Level.OK]
    assert "kernel.pty.max = 4096" in told[0].text


@pytest.mark.parametrize(
    ("facts", "subject", "level"),
    [
        (replace(GOOD, release="5.10.0-28-amd64"), "kernel", Level.ERROR),
        (replace(GOOD, release="strange"), "kernel", Level.WARNING),
        (replace(GOOD, cgroup_controllers=frozenset({"cpu", "pids"})), "cgroups", Level.ERROR),
        (replace(GOOD, cgroup_layout="v1"), "cgroups", Level.WARNING),
        (replace(GOOD, cgroup_layout="none"), "cgroups", Level.ERROR),
        (replace(GOOD, user_namespaces_max=0), "user namespaces", Level.ERROR),
        (replace(GOOD, user_namespaces_nest=False), "user namespaces", Level.ERROR),
        (
            replace(GOOD, low_limits=("kernel.pty.max = 4096",), limits_settable=False),
            "kernel limits",
            Level.WARNING,
        ),
        (replace(GOOD, memory_mib=1000), "memory", Level.WARNING),
        (replace(GOOD, swap_mib=0), "swap", Level.WARNING),
        (replace(GOOD, swap_mib=0, zram=False), "swap", Level.WARNING),
        (replace(GOOD, ksm_running=None), "KSM", Level.WARNING),
        (replace(GOOD, kvm=Kvm.REFUSED), "KVM", Level.WARNING),
        (replace(GOOD, clock_synchronised=False), "clock", Level.WARNING),
        (replace(GOOD, clock_synchronised=None), "clock", Level.WARNING),
    ],
)
def test_each_lack_is_told(facts: SystemFacts, subject: str, level: Level) -> None:
    assert worst(facts) == [(subject, level)]
    assert all(item.fix for item in host.judge(facts, NOW) if item.level is not Level.OK)


@pytest.mark.parametrize(
    "facts",
    [
        replace(GOOD, kvm=Kvm.ABSENT),
        replace(GOOD, ksm_running=False),
        replace(GOOD, docker=True),
        replace(GOOD, release="5.19"),
    ],
)
def test_what_desktops_can_do_without_is_no_warning(facts: SystemFacts) -> None:
    assert worst(facts) == []


@pytest.mark.parametrize("year", [1970, 2023, 2100])
def test_an_absurd_year_is_an_error(year: int) -> None:
    assert worst(GOOD, datetime(year, 1, 1, tzinfo=UTC)) == [("clock", Level.ERROR)]


@pytest.mark.parametrize(
    ("limit", "level"), [(65_536, Level.OK), (1_000, Level.WARNING), (300, Level.ERROR)]
)
def test_a_low_limit_of_open_files_is_told_with_the_number_to_set(limit: int, level: Level) -> None:
    finding = host.open_files(limit, 57_096, 400)
    assert finding.level is level
    assert ("57096" in finding.fix) == (level is not Level.OK)
