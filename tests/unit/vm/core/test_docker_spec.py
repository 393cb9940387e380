import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.vm.core import docker_spec
from qvdnode.vm.core.docker_spec import INSTANCE, Container, OddAnswer
from tests.unit.vm.core.test_lxc_config import SPEC

ID = "0123456789abcdef" * 4
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
KEYS = (
    "Id",
    "Names",
    "Labels",
    "Running",
    "ExitCode",
    "Pid",
    "ApiVersion",
    "ServerVersion",
    "Runtimes",
)
ANSWERS = JSON | st.dictionaries(st.sampled_from(KEYS), JSON)
READERS = (
    docker_spec.api_version,
    docker_spec.facts,
    docker_spec.made,
    docker_spec.containers,
    docker_spec.exit_code,
    docker_spec.pid,
)


def test_a_container_is_confined_and_named_by_labels() -> None:
    body = docker_spec.body(SPEC, "qvd", "qvdnode")
    assert body["Labels"] == {
        "org.qvdnode.instance": "qvd",
        "org.qvdnode.vm": "7",
        "org.qvdnode.generation": "12",
    }
    assert body["NetworkDisabled"] is True
    host = body["HostConfig"]
    assert (host["Runtime"], host["NetworkMode"]) == ("qvdnode", "none")
    assert (host["Privileged"], host["CapDrop"], host["ReadonlyRootfs"]) == (False, ["ALL"], True)
    assert "CAP_SYS_ADMIN" not in host["CapAdd"]
    assert host["RestartPolicy"] == {"Name": "no"}
    assert (host["Memory"], host["MemorySwap"]) == (512 << 20, 1024 << 20)
    assert (host["PidsLimit"], host["CpuQuota"], host["CpuPeriod"]) == (400, 150_000, 100_000)


def test_what_the_engine_says_of_itself_is_read() -> None:
    info = {
        "ServerVersion": "20.10.24",
        "LiveRestoreEnabled": True,
        "Runtimes": {"runc": {"path": "runc"}, "io.containerd.runc.v2": {}},
    }
    found = docker_spec.facts(info)
    assert found.version == "20.10.24"
    assert found.runtimes == {"runc": "runc", "io.containerd.runc.v2": ""}
    assert found.keeps_containers
    assert not docker_spec.facts({**info, "LiveRestoreEnabled": None}).keeps_containers
    options = ["name=seccomp,profile=default", "name=rootless", 7]
    rootless = docker_spec.facts({**info, "SecurityOptions": options})
    assert (rootless.rootless, rootless.remaps_users) == (True, False)
    assert docker_spec.facts({**info, "SecurityOptions": ["name=userns"]}).remaps_users
    assert not docker_spec.facts({**info, "SecurityOptions": "rootless"}).rootless


@pytest.mark.parametrize(
    ("api", "old"), [("1.40", True), ("1.41", False), ("1.9", True), ("2.0", False)]
)
def test_versions_are_compared_as_numbers(api: str, old: bool) -> None:
    assert docker_spec.api_version({"ApiVersion": api}) == api
    assert docker_spec.too_old(api) is old


@pytest.mark.parametrize("api", ["", "1", "1.x", "1.41/../..", "v1.41"])
def test_a_version_that_is_none_is_refused(api: str) -> None:
    for read in (docker_spec.too_old, lambda text: docker_spec.api_version({"ApiVersion": text})):
        with pytest.raises(OddAnswer):
            read(api)


def test_containers_are_told_apart_by_their_label() -> None:
    ours: dict[str, Any] = {"Id": ID, "Names": ["/qvd-7"], "Labels": {INSTANCE: "qvd"}}
    theirs: dict[str, Any] = {"Id": ID[::-1], "Names": None, "Labels": None}
    odd: dict[str, Any] = {"Id": ID, "Names": ["/x"], "Labels": {INSTANCE: 5}}
    assert docker_spec.containers([ours, theirs, odd]) == [
        Container(ID, ("qvd-7",), "qvd"),
        Container(ID[::-1], (), None),
        Container(ID, ("x",), None),
    ]


@pytest.mark.parametrize("text", ["", "../../etc/passwd", ID[:-1], ID + "0", ID.upper(), ID + "\n"])
def test_an_id_that_could_be_a_path_is_refused(text: str) -> None:
    with pytest.raises(OddAnswer):
        docker_spec.made({"Id": text})
    assert docker_spec.made({"Id": ID}) == ID


def test_the_end_of_a_program_is_read() -> None:
    assert docker_spec.exit_code({"Running": True, "ExitCode": None}) is None
    assert docker_spec.exit_code({"Running": False, "ExitCode": 4}) == 4
    assert docker_spec.pid({"Pid": 77}) == 77
    assert docker_spec.pid({}) == 0
    for answer in ({"Running": False}, {"Running": False, "ExitCode": True}, {"ExitCode": 0}):
        with pytest.raises(OddAnswer):
            docker_spec.exit_code(answer)
    with pytest.raises(OddAnswer):
        docker_spec.pid({"Pid": "1"})


@given(ANSWERS | st.lists(ANSWERS))
def test_any_answer_is_read_or_refused(answer: object) -> None:
    for read in READERS:
        with contextlib.suppress(OddAnswer):
            read(answer)
