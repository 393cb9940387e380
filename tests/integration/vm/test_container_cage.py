"""What a guest in a container can and cannot do, asked from inside as its root."""

import shutil
from pathlib import Path

import pytest

from qvdnode.host.cgroups import probe
from qvdnode.host.process import run
from qvdnode.model.errors import GuestFailed
from qvdnode.model.guest import GuestProcess, GuestSpec
from tests.fixtures_guest import RealGuests
from tests.waiting import until


@pytest.fixture
async def spec(guests: RealGuests) -> GuestSpec:
    return await guests.spec()


@pytest.fixture
async def process(guests: RealGuests, spec: GuestSpec) -> GuestProcess:
    return await guests.driver.launch(spec)


def status_of(process: GuestProcess) -> dict[str, str]:
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


async def test_its_root_is_nobody_on_the_host(spec: GuestSpec, process: GuestProcess) -> None:
    assert status_of(process)["Uid"].split() == [str(spec.ids.start)] * 4
    mapped = Path(f"/proc/{process.pid}/uid_map").read_text(encoding="ascii").split()
    assert mapped == ["0", str(spec.ids.start), "65536"]


async def test_it_lacks_the_capabilities_that_open_kernels(process: GuestProcess) -> None:
    bounding = int(status_of(process)["CapBnd"], 16)
    net_admin, net_raw, sys_module, sys_ptrace, sys_admin = 12, 13, 16, 19, 21
    for capability in (net_admin, net_raw, sys_module, sys_ptrace, sys_admin):
        assert not bounding >> capability & 1


async def test_system_calls_are_filtered(
    guests: RealGuests, spec: GuestSpec, process: GuestProcess
) -> None:
    assert status_of(process)["Seccomp"] == "2"
    assert "Operation not permitted" in await guests.inside(spec, "dmesg")


@pytest.mark.parametrize(
    "command",
    [
        "mount -t tmpfs none /mnt",
        "mknod /root/disk b 254 0 && cat /root/disk",
        "echo 1 > /proc/sysrq-trigger",
        "echo x > /proc/sys/kernel/core_pattern",
        "echo 1 > /sys/kernel/mm/ksm/run",
        "ip link set eth0 address 02:00:00:00:00:99",
    ],
)
async def test_what_is_the_hosts_stays_the_hosts(
    guests: RealGuests, spec: GuestSpec, process: GuestProcess, command: str
) -> None:
    answer = await guests.inside(spec, f"{{ {command}; }} && echo done it")
    assert not answer.endswith("done it")


async def test_its_limits_are_those_of_the_flavour(
    guests: RealGuests, spec: GuestSpec, process: GuestProcess
) -> None:
    sleeper = "sleep 60 </dev/null >/dev/null 2>&1 &"
    fork = f"i=0; while [ $i -lt 400 ]; do {sleeper} i=$((i + 1)); done; echo made all"
    answer = await guests.inside(spec, fork)
    assert "made all" not in answer
    assert guests.driver.limit_events(spec).forks_refused > 0
    assert (await guests.driver.memory(spec)).limit_bytes == spec.memory_mib * 1024 * 1024


async def test_its_share_of_the_processors_is_the_flavours(
    guests: RealGuests, spec: GuestSpec, process: GuestProcess
) -> None:
    group = f"{guests.group}/{spec.name}"
    folders = [hierarchy / group for hierarchy in probe().hierarchies]
    (quota, period) = next(found for folder in folders if (found := cpu_limit(folder)))
    assert quota * 100 == period * spec.cpu_pct


def cpu_limit(group: Path) -> tuple[int, int] | None:
    """Quota and period of a control group, whichever version it is of."""
    if (group / "cpu.max").exists():
        quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
        return int(quota), int(period)
    if (group / "cpu.cfs_quota_us").exists():
        files = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        quota, period = ((group / name).read_text(encoding="ascii") for name in files)
        return int(quota), int(period)
    return None


async def test_its_folders_are_bounded(
    guests: RealGuests, spec: GuestSpec, process: GuestProcess
) -> None:
    for folder in ("/run/qvd", "/tmp", "/dev/shm"):
        answer = await guests.inside(
            spec, f"head -c 600M /dev/zero > {folder}/big && echo fitted; rm -f {folder}/big"
        )
        assert "fitted" not in answer, folder


async def test_it_has_home_name_and_network_of_its_own(
    guests: RealGuests, spec: GuestSpec, process: GuestProcess
) -> None:
    assert await guests.inside(spec, "hostname") == spec.hostname
    assert await guests.inside(spec, "stat -c %u /home/alice") == "1000"
    link = await run(["nsenter", f"--target={process.pid}", "--net", "ip", "link", "show", "eth0"])
    assert spec.port.mac.encode() in link.stdout


async def test_its_network_is_ready_once_it_is_launched(
    guests: RealGuests, spec: GuestSpec
) -> None:
    await run(["ip", "link", "set", guests.bridge, "mtu", "1400"])
    process = await guests.driver.launch(spec)

    async def ip(*words: str) -> list[str]:
        done = await run(["nsenter", f"--target={process.pid}", "--net", "ip", *words])
        return [line.strip() for line in done.stdout.decode().splitlines()]

    gateway = str(spec.port.gateway)
    assert await ip("route") == [
        f"default via {gateway} dev eth0 proto static",
        f"{gateway} dev eth0 proto static scope link",
    ]
    links = {line.split()[1].partition("@")[0]: line for line in await ip("-oneline", "link")}
    assert set(links) == {"lo:", "eth0"}
    assert "LOWER_UP" in links["lo:"]
    assert "mtu 1400" in links["eth0"]
    assert await ip("-6", "address", "show", "dev", "eth0") == []
    (address,) = [
        line for line in await ip("-4", "address", "show", "dev", "eth0") if "inet" in line
    ]
    assert address.split()[1].removesuffix("/32") == str(spec.port.address.ip)
    ours = await run(["ip", "-oneline", "link", "show", "master", guests.bridge])
    (line,) = ours.stdout.decode().splitlines()
    assert line.split()[1].startswith(f"{spec.port.link}@")
    assert "LOWER_UP" in line
    assert "mtu 1400" in line


async def test_nothing_of_the_nodes_environment_reaches_it(
    guests: RealGuests, spec: GuestSpec, process: GuestProcess
) -> None:
    environment = Path(f"/proc/{process.pid}/environ").read_bytes()
    assert b"VIRTUAL_ENV" not in environment
    assert b"PYTEST" not in environment


async def test_a_guest_that_cannot_boot_says_so_and_leaves_nothing(
    guests: RealGuests, spec: GuestSpec
) -> None:
    shutil.rmtree(spec.root.root / "usr" / "lib" / "qvd")
    with pytest.raises(GuestFailed) as caught:
        await guests.driver.launch(spec)
    assert caught.value.step == "launch"
    assert await guests.driver.find(spec) is None
    assert probe().processes(guests.group) == set()
    await until(lambda: not Path(f"/sys/class/net/{spec.port.link}").exists())


async def test_a_kill_takes_everything(
    guests: RealGuests, spec: GuestSpec, process: GuestProcess
) -> None:
    await guests.inside(spec, "for i in 1 2; do setsid -f sleep 1000 >/dev/null 2>&1; done")
    await guests.driver.kill(spec)
    group = guests.group
    assert probe().processes(group) == set()
    assert not probe().exists(f"{group}/{spec.name}")
    await until(lambda: not Path(f"/sys/class/net/{spec.port.link}").exists())
