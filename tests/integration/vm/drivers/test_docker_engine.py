"""A Docker engine that is slow, half dead, of another version, or none: told, within a limit."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from qvdnode.host.cgroups import Cgroups, CgroupVersion
from qvdnode.model.errors import HostFailed, TimedOut
from qvdnode.runtime.clock import SystemClock
from qvdnode.vm.core.docker_spec import INSTANCE
from qvdnode.vm.drivers import docker, docker_engine
from qvdnode.vm.drivers.docker import DockerDriver, DockerPlace
from qvdnode.vm.drivers.docker_engine import Engine, EngineRefused
from tests.fakes.docker_engine import FakeEngine, Handler, half, never, saying
from tests.unit.vm.core.test_lxc_config import SPEC

RUNTIME = "qvdnode"
BODY = {"Image": "qvdnode-guest:1", "Labels": {INSTANCE: "qvd"}}


@pytest.fixture
def place(tmp_path: Path) -> DockerPlace:
    return DockerPlace(tmp_path / "docker", "qvd", "br0", tmp_path / "docker.sock", RUNTIME)


@pytest.fixture
async def fake(place: DockerPlace) -> AsyncIterator[FakeEngine]:
    engine = FakeEngine(RUNTIME, place.folder / "oci-runtime")
    async with engine.listening(place.socket):
        yield engine


@pytest.fixture
def driver(place: DockerPlace, tmp_path: Path) -> DockerDriver:
    return DockerDriver(
        place, SystemClock(), cgroups=Cgroups(CgroupVersion.V2, (tmp_path / "cgroup",))
    )


@pytest.fixture
def engine(place: DockerPlace) -> Engine:
    return Engine(place.socket)


async def test_an_engine_with_the_runtime_works(fake: FakeEngine, driver: DockerDriver) -> None:
    found = await driver.check()
    assert (found.version, found.problem, found.warning) == ("Docker 20.10.24", None, "")
    fake.info["LiveRestoreEnabled"] = False
    found = await driver.check()
    assert "restart of the engine ends them" in found.warning
    assert "live-restore" in found.fix


async def test_a_host_without_an_engine_is_not_set_up_for_docker(driver: DockerDriver) -> None:
    found = await driver.check()
    assert found.problem is not None
    assert "no Docker engine" in found.problem
    assert not found.installed


async def test_a_runtime_that_is_missing_or_anothers_is_told_with_the_line_that_helps(
    fake: FakeEngine, driver: DockerDriver, place: DockerPlace
) -> None:
    line = f'"runtimes": {{"{RUNTIME}": {{"path": "{place.folder}/oci-runtime"}}}}'
    for runtimes, words in (({}, "has no runtime"), ({RUNTIME: {"path": "/other"}}, "is /other")):
        fake.info["Runtimes"] = runtimes
        found = await driver.check()
        assert words in str(found.problem)
        assert line in found.fix


async def test_an_engine_that_is_too_old_is_told(fake: FakeEngine, driver: DockerDriver) -> None:
    fake.api = "1.40"
    found = await driver.check()
    assert "1.40" in str(found.problem)
    assert "20.10" in found.fix


async def test_a_rootless_engine_is_told_and_one_with_ids_of_its_own_too(
    fake: FakeEngine, driver: DockerDriver
) -> None:
    fake.info["SecurityOptions"] = ["name=seccomp,profile=default", "name=userns"]
    found = await driver.check()
    assert found.problem is None
    assert "userns-remap" in found.warning
    fake.info["SecurityOptions"] = ["name=seccomp,profile=default", "name=rootless"]
    found = await driver.check()
    assert "rootless" in str(found.problem)
    assert "drivers.docker.socket" in found.fix


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (never, "does not answer"),
        (half, "broke off|is not a Docker engine"),
        (saying("hello", kind="text/plain"), "is not a Docker engine"),
        (saying("{"), "is not a Docker engine"),
        (saying("[]"), "is not a Docker engine"),
        (saying('{"ApiVersion": 7}'), "is not a Docker engine"),
        (saying('{"message": "' + "x" * 9000 + '"}', status=500), "refused: x{400}$"),
        (saying("<html>", status=502, kind="text/html"), "refused: <html>"),
        (saying('{"reason": 1}', status=500), "is not a Docker engine"),
    ],
)
async def test_a_broken_engine_is_a_problem_and_no_more(
    fake: FakeEngine, driver: DockerDriver, answer: Handler, words: str
) -> None:
    fake.answers["version"] = answer
    async with asyncio.timeout(docker.CHECK_S + 10):
        found = await driver.check()
    assert found.fix
    assert found.installed
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found.problem)


async def test_what_speaks_no_http_is_no_engine(place: DockerPlace, driver: DockerDriver) -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\xff" * 5000)
        writer.close()

    async with await asyncio.start_unix_server(babble, place.socket):
        assert (await driver.check()).problem is not None
    # Nobody listens any more, but the socket's file is still there.
    with pytest.raises(HostFailed, match="no Docker engine listens"):
        await Engine(place.socket).version()


async def test_a_question_ends_within_its_limit(
    fake: FakeEngine, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_engine, "WORK_LIMIT_S", 0.1)
    fake.answers["/start"] = never
    with pytest.raises(TimedOut, match="does not answer"):
        await engine.start("0" * 64)


async def test_the_image_is_brought_when_it_is_missing(fake: FakeEngine, engine: Engine) -> None:
    assert await engine.create("qvd-1", BODY) in fake.containers
    assert fake.asked.count("POST /images/load") == 1
    assert await engine.create("qvd-2", BODY) in fake.containers
    assert fake.asked.count("POST /images/load") == 1
    fake.has_image = False  # somebody has tidied up
    assert await engine.create("qvd-3", BODY) in fake.containers


async def test_only_our_own_are_listed_and_one_is_removed_twice(
    fake: FakeEngine, engine: Engine
) -> None:
    ours = fake.add("qvd-1", {INSTANCE: "qvd"})
    fake.add("database", {})
    fake.add("tqvd-1", {INSTANCE: "tqvd"})
    assert [it.container_id for it in await engine.guests("qvd")] == [ours]
    for _ in range(2):
        await engine.remove(ours)
    assert len(fake.containers) == 2


async def test_a_sweep_removes_what_is_ours_and_not_kept(
    fake: FakeEngine, driver: DockerDriver
) -> None:
    for name in ("qvd-1", "qvd-2"):
        fake.add(name, {INSTANCE: "qvd"})
    fake.add("qvd-3", {})  # a name like ours is not ours
    assert await driver.sweep(["qvd-1"]) == ["qvd-2"]
    assert [it["Names"] for it in fake.containers.values()] == [["/qvd-1"], ["/qvd-3"]]


async def test_a_guest_is_ended_without_its_engine(
    fake: FakeEngine, driver: DockerDriver, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(docker_engine, "ANSWER_LIMIT_S", 0.1)
    fake.answers["json"] = never
    await driver.kill(replace(SPEC, name="qvd-7"))
    assert [record.getMessage() for record in caplog.records] == ["container_left"]
    assert await driver.sweep([]) == []


async def test_an_engine_may_be_replaced_by_one_of_another_version(
    fake: FakeEngine, engine: Engine
) -> None:
    await engine.guests("qvd")
    fake.api = "1.52"
    assert await engine.version() == "1.52"
    await engine.guests("qvd")
    assert fake.asked[-1] == "GET /containers/json"


async def test_the_name_of_anothers_container_is_not_taken(
    fake: FakeEngine, driver: DockerDriver
) -> None:
    fake.has_image = True
    fake.add("qvd-7", {})
    with pytest.raises(EngineRefused, match="already in use"):
        await driver._made(SPEC)
    fake.containers.clear()
    old = fake.add("qvd-7", {INSTANCE: "qvd"})
    fake.containers[old]["Labels"]["since"] = "a node that was killed"
    assert await driver._made(SPEC) in fake.containers
    assert len(fake.containers) == 1


async def test_a_list_of_containers_that_makes_no_sense_is_refused(
    fake: FakeEngine, engine: Engine
) -> None:
    fake.answers["containers/json"] = saying('[{"Id": "../x", "Names": [], "Labels": {}}]')
    with pytest.raises(HostFailed, match="not an id"):
        await engine.guests("qvd")
