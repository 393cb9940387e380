"""What holds guests of a Docker engine alone; test_container_cage.py has what holds all."""

import asyncio
import signal
from dataclasses import replace

import pytest

from qvdnode.host.cgroups import probe
from qvdnode.host.merging import merges
from qvdnode.model.errors import GuestFailed
from qvdnode.model.guest import GuestSpec
from qvdnode.vm.core.docker_spec import INSTANCE
from qvdnode.wire.session_exit import SessionExit
from tests.attacks.attacker import Attacker
from tests.fixtures_guest import RealGuests
from tests.harness.engine import DockerEngine
from tests.waiting import until

pytestmark = pytest.mark.docker


@pytest.fixture
async def spec(docker_guests: RealGuests) -> GuestSpec:
    return await docker_guests.spec()


async def test_a_program_of_another_kind_ends_at_its_first_system_call(
    docker_guests: RealGuests, spec: GuestSpec
) -> None:
    await docker_guests.driver.launch(spec)
    program = await Attacker(docker_guests, spec).build("sockets")
    told = await docker_guests.inside(spec, f"{program}; echo ended with $?")
    assert f"ended with {128 + signal.SIGSYS}" in told
    made = {tuple(line.split()[:2]) for line in told.splitlines() if line.endswith(" 0")}
    assert {family for way, family in made if way == "socket"} == {"1", "2", "10"}
    assert {way for way, _ in made} <= {"socket", "socketpair", "wide"}


async def test_nobody_starts_its_container_again(
    docker_guests: RealGuests, spec: GuestSpec, engine: DockerEngine
) -> None:
    process = await docker_guests.driver.launch(spec)
    answer = engine.ask(f"containers/{spec.name}/restart?t=0", "-X", "POST")
    assert "this runtime starts desktops of qvdnode, when" in answer
    await docker_guests.driver.wait_exit(process)
    assert await docker_guests.driver.find(spec) is None


async def test_the_runtime_starts_nothing_of_others(
    docker_guests: RealGuests, spec: GuestSpec, engine: DockerEngine
) -> None:
    await docker_guests.driver.launch(spec)  # so that there is an image
    body = '{"Image": "qvdnode-guest:1", "Cmd": ["/bin/sh"], "HostConfig": {"Runtime": "qvdtest"}}'
    how = ("-X", "POST", "-H", "Content-Type: application/json", "-d", body)
    assert '"Id"' in engine.ask("containers/create?name=others", *how)
    try:
        answer = engine.ask("containers/others/start", "-X", "POST")
        assert "this runtime starts desktops of qvdnode, when" in answer
    finally:
        engine.ask("containers/others?force=1", "-X", "DELETE")


async def test_a_container_of_others_is_left_alone(
    docker_guests: RealGuests, spec: GuestSpec, engine: DockerEngine
) -> None:
    other = await docker_guests.spec(2)
    await docker_guests.driver.launch(other)
    how = ("-X", "POST", "-H", "Content-Type: application/json", "-d")
    body = '{"Image": "qvdnode-guest:1", "Cmd": ["/bin/sh"]}'
    engine.ask(f"containers/create?name={spec.name}", *how, body)
    try:
        with pytest.raises(GuestFailed, match="already in use"):
            await docker_guests.driver.launch(spec)
        await docker_guests.driver.kill(spec)
        await docker_guests.driver.sweep([])
        names = {name for it in engine.containers() for name in it["Names"]}
        assert names == {f"/{spec.name}"}
    finally:
        engine.ask(f"containers/{spec.name}?force=1", "-X", "DELETE")


async def test_a_container_that_is_removed_behind_the_nodes_back_is_seen(
    docker_guests: RealGuests, spec: GuestSpec, engine: DockerEngine
) -> None:
    process = await docker_guests.driver.launch(spec)
    (container,) = [it for it in engine.containers() if it["Names"] == [f"/{spec.name}"]]
    assert container["Labels"][INSTANCE] == docker_guests.prefix
    engine.ask(f"containers/{spec.name}?force=1", "-X", "DELETE")
    async with asyncio.timeout(20):
        await docker_guests.driver.wait_exit(process)
    assert await docker_guests.driver.find(spec) is None
    await docker_guests.driver.kill(spec)


async def test_its_engine_image_is_made_again(
    docker_guests: RealGuests, spec: GuestSpec, engine: DockerEngine
) -> None:
    await docker_guests.driver.launch(spec)
    await docker_guests.driver.kill(spec)
    assert "Deleted" in engine.ask("images/qvdnode-guest:1?force=1", "-X", "DELETE")
    await docker_guests.driver.launch(spec)


async def test_guests_outlive_their_engine_and_need_none_to_end(
    docker_guests: RealGuests, spec: GuestSpec, engine: DockerEngine
) -> None:
    other = await docker_guests.spec(2)
    driver = docker_guests.driver
    kept, ended = await driver.launch(spec), await driver.launch(other)
    engine.stop()
    try:
        assert (await driver.check()).problem is not None
        assert await driver.find(spec) == kept
        assert (await driver.memory(spec)).used_bytes > 0
        await driver.kill(other)
        await driver.wait_exit(ended)
        with pytest.raises(GuestFailed, match="no Docker engine listens"):
            await driver.launch(await docker_guests.spec(3))
    finally:
        engine.start()
    assert (await driver.check()).problem is None
    assert await driver.find(spec) == kept
    # The container whose guest has ended was left, and its name can be used at once.
    assert await driver.launch(other) != ended
    assert await driver.run_session(spec, "dance", limit_s=20) == SessionExit.UNKNOWN_VERB


async def test_a_frozen_guest_stands_still_and_can_be_killed(
    docker_guests: RealGuests, spec: GuestSpec
) -> None:
    driver, groups = docker_guests.driver, probe()
    process = await driver.launch(spec)
    group = driver.control_group(spec)
    assert group is not None
    groups.freeze(group)
    await until(lambda: groups.has_frozen(group), what="its programs to stand still")
    assert await driver.find(spec) == process
    groups.thaw(group)
    await until(lambda: not groups.is_frozen(group), what="its programs to run")
    groups.freeze(group)
    await driver.kill(spec)
    assert await driver.find(spec) is None


async def test_its_memory_can_be_merged_if_it_may(
    docker_guests: RealGuests, spec: GuestSpec
) -> None:
    other = replace(await docker_guests.spec(2), merges=True)
    docker_guests.specs[-1] = other
    alone, merging = [await docker_guests.driver.launch(each) for each in (spec, other)]
    assert not merges(alone.pid)
    assert merges(merging.pid)
    script = other.root.root / "usr/lib/qvd/session"
    script.write_text("#!/bin/sh\ncp /proc/self/ksm_stat /run/qvd/said\n")
    assert await docker_guests.driver.run_session(other, "status", limit_s=20) == 0
    assert "ksm_merge_any: yes" in (other.run_folder / "said").read_text()
