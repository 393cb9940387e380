from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.account import account_name
from qvdnode.model.guest import GuestPort, GuestRoot, GuestSpec, IdRange
from qvdnode.model.ids import Generation, VmId
from qvdnode.vm.core import lxc_config
from qvdnode.vm.core.lxc_config import (
    LxcHost,
    config_text,
    guest_group,
    guests_group,
    nesting_filter,
)

GOLDEN = Path(__file__).parent / "golden"
SPEC = GuestSpec(
    vm_id=VmId(7),
    generation=Generation(12),
    name="qvd-7",
    hostname="desk",
    account="alice",
    ids=IdRange(0x7000_0000),
    port=GuestPort(
        link="qv7",
        mac="02:00:0a:75:00:07",
        address=IPv4Interface("10.117.0.7/20"),
        gateway=IPv4Address("10.117.0.1"),
        egress=True,
    ),
    root=GuestRoot(
        root=Path("/var/lib/qvdnode/vms/7/12/root"), home=Path("/var/lib/qvdnode/homes/5")
    ),
    run_folder=Path("/var/lib/qvdnode/run/7"),
    memory_mib=512,
    cpu_pct=150,
    pids_max=400,
)
HYBRID = LxcHost(
    group="qvdnode",
    seccomp_profile="/opt/qvdnode/guest.seccomp",
    apparmor=None,
    unified=False,
    limits_swap=True,
)
NAMESPACE = "/proc/31/fd/9"
UNIFIED = replace(HYBRID, apparmor="lxc-container-default-cgns", unified=True)


@pytest.mark.parametrize(("host", "name"), [(HYBRID, "hybrid"), (UNIFIED, "unified")])
def test_the_cage_is_the_one_that_was_reviewed(host: LxcHost, name: str) -> None:
    """A change of the golden file is a change of what confines a guest: read it line by line."""
    assert config_text(SPEC, host, NAMESPACE) == (GOLDEN / f"{name}.conf").read_text()


def settings(host: LxcHost = HYBRID) -> dict[str, str]:
    lines = config_text(SPEC, host, NAMESPACE).splitlines()
    return dict(line.split(" = ", 1) for line in lines)


def test_each_instance_has_its_guests_below_a_group_of_its_own() -> None:
    host = LxcHost(guests_group("a-qvd"), "/x", None, unified=True, limits_swap=True)
    assert guest_group(host, "a-qvd-7") == "a-qvdguests/a-qvd-7"


def test_a_guest_is_never_root_on_the_host() -> None:
    lines = [line for line in config_text(SPEC, HYBRID, NAMESPACE).splitlines() if "idmap" in line]
    assert lines == ["lxc.idmap = u 0 1879048192 65536", "lxc.idmap = g 0 1879048192 65536"]


@pytest.mark.parametrize("power", ["sys_admin", "net_admin", "sys_module", "mknod", "sys_ptrace"])
def test_dangerous_powers_are_not_kept(power: str) -> None:
    assert power not in settings()["lxc.cap.keep"].split()


@pytest.mark.parametrize("host", [HYBRID, UNIFIED])
def test_all_devices_are_denied_before_some_are_allowed(host: LxcHost) -> None:
    lines = [
        line for line in config_text(SPEC, host, NAMESPACE).splitlines() if ".devices." in line
    ]
    assert lines[0].endswith(".devices.deny = a")
    assert all(".devices.allow = c " in line for line in lines[1:])


def test_the_limits_are_those_of_the_flavour() -> None:
    unified = settings(UNIFIED)
    assert unified["lxc.cgroup2.memory.max"] == str(512 * 1024 * 1024)
    assert unified["lxc.cgroup2.memory.swap.max"] == str(512 * 1024 * 1024)
    assert unified["lxc.cgroup2.cpu.max"] == "150000 100000"
    assert unified["lxc.cgroup2.pids.max"] == "400"


@pytest.mark.parametrize(("host", "profile"), [(HYBRID, None), (UNIFIED, "unconfined")])
def test_nesting_changes_the_filter_the_profile_and_adds_a_proc(
    host: LxcHost, profile: str | None
) -> None:
    usual = config_text(SPEC, host, NAMESPACE).splitlines()
    nesting = config_text(replace(SPEC, nesting=True), host, NAMESPACE).splitlines()
    wanted = [
        "lxc.seccomp.profile = /opt/qvdnode/guest.seccomp.nesting",
        *([] if profile is None else [f"lxc.apparmor.profile = {profile}"]),
        "lxc.mount.entry = proc dev/.lxc/proc proc nosuid,nodev,noexec,create=dir 0 0",
    ]
    assert [line for line in nesting if line not in usual] == wanted


def test_the_filter_for_nesting_lacks_two_lines_of_the_other() -> None:
    text = Path(lxc_config.__file__).with_name("guest.seccomp").read_text(encoding="utf-8")
    lines, kept = text.splitlines(), nesting_filter(text).splitlines()
    assert [line for line in lines if line not in kept] == ["mount errno 1", "pivot_root errno 1"]
    assert len(kept) == len(lines) - 2


@pytest.mark.parametrize("host", [HYBRID, UNIFIED])
def test_swap_is_not_limited_where_the_kernel_does_not_count_it(host: LxcHost) -> None:
    lines = config_text(SPEC, replace(host, limits_swap=False), NAMESPACE).splitlines()
    groups = [line for line in lines if line.startswith("lxc.cgroup")]
    assert not [line for line in groups if "swap" in line or "memsw" in line]


@pytest.mark.parametrize(
    "spec",
    [
        replace(SPEC, hostname="desk\nlxc.cap.keep = sys_admin"),
        replace(SPEC, hostname="desk\n"),
        replace(SPEC, account="../../etc"),
        replace(SPEC, account="alice none bind"),
        replace(SPEC, name=""),
        replace(SPEC, run_folder=Path("/tmp/a b")),
        replace(SPEC, root=replace(SPEC.root, home=Path("/homes/5\nx"))),
        replace(SPEC, root=replace(SPEC.root, root=Path("relative"))),
    ],
)
def test_nothing_can_add_a_line(spec: GuestSpec) -> None:
    with pytest.raises(ValueError, match="cannot stand in a container's configuration"):
        config_text(spec, HYBRID, NAMESPACE)


def test_a_path_of_the_namespace_can_add_no_line_either() -> None:
    with pytest.raises(ValueError, match="cannot stand in a container's configuration"):
        config_text(SPEC, HYBRID, "/proc/1/fd/3\nlxc.cap.keep = sys_admin")


@given(st.from_regex(r"[a-z_][a-z0-9._-]{0,31}", fullmatch=True))
def test_the_account_of_every_login_can_stand_in_it(login: str) -> None:
    text = config_text(replace(SPEC, account=account_name(login)), HYBRID, NAMESPACE)
    assert f" home/{account_name(login)} none bind" in text
