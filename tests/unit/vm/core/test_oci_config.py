import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.vm.core import lxc_config, oci_config
from qvdnode.vm.core.oci_config import OciHost, config, guests_group, seccomp
from tests.unit.vm.core.test_lxc_config import NAMESPACE, SPEC

GOLDEN = Path(__file__).parent / "golden" / "container.json"
FILTER = Path(lxc_config.__file__).with_name("guest.seccomp").read_text(encoding="utf-8")
HOST = OciHost(
    group="qvdcontainers",
    machine="x86_64",
    apparmor=None,
    limits_swap=True,
    filter_text="2\ndenylist\nreject_force_umount\n[all]\nbpf errno 1\n",
)


def test_the_cage_is_the_one_that_was_reviewed() -> None:
    """A change of the golden file is a change of what confines a guest: read it line by line."""
    assert json.dumps(config(SPEC, HOST, NAMESPACE), indent=1) + "\n" == GOLDEN.read_text()


def test_the_groups_of_an_engines_guests_are_not_those_of_lxc() -> None:
    assert guests_group("qvd") != lxc_config.guests_group("qvd")


def test_rights_and_devices_are_those_of_guests_on_lxc() -> None:
    text = lxc_config.config_text(SPEC, lxc_host(), NAMESPACE)
    made = config(SPEC, HOST, NAMESPACE)
    for name in made["process"]["capabilities"]["bounding"]:
        assert name.removeprefix("CAP_").lower() in text.split("lxc.cap.keep = ")[1].split("\n")[0]
    rules = made["linux"]["resources"]["devices"]
    assert rules[0] == {"allow": False, "access": "rwm"}
    assert len(rules) == 1 + text.count("devices.allow")


def lxc_host() -> lxc_config.LxcHost:
    return lxc_config.LxcHost(
        group="q", seccomp_profile="/p", apparmor=None, unified=True, limits_swap=True
    )


def test_apparmor_confines_where_the_kernel_has_it_but_not_nested_sandboxes() -> None:
    host = replace(HOST, apparmor="docker-default")
    process = config(SPEC, host, NAMESPACE)["process"]
    assert process["apparmorProfile"] == "docker-default"
    nested = config(replace(SPEC, nesting=True), host, NAMESPACE)
    assert "apparmorProfile" not in nested["process"]
    assert nested["mounts"][-1]["type"] == "proc"
    assert config(SPEC, host, NAMESPACE)["mounts"][-1]["type"] == "tmpfs"


def test_swap_is_limited_where_the_kernel_counts_it() -> None:
    memory = config(SPEC, HOST, NAMESPACE)["linux"]["resources"]["memory"]
    assert memory == {"limit": 512 << 20, "swap": 1024 << 20}
    without = config(SPEC, replace(HOST, limits_swap=False), NAMESPACE)
    assert without["linux"]["resources"]["memory"] == {"limit": 512 << 20}


@given(st.text(min_size=1).filter(lambda text: lxc_config.PLAIN_NAME.match(text) is None))
def test_a_name_that_could_be_a_path_is_refused(name: str) -> None:
    for spec in (replace(SPEC, name=name), replace(SPEC, account=name)):
        with pytest.raises(ValueError, match="cannot stand"):
            config(spec, HOST, NAMESPACE)


def test_every_line_of_the_filter_is_a_rule() -> None:
    found = seccomp(FILTER, "x86_64")
    assert found["defaultAction"] == "SCMP_ACT_ALLOW"
    assert found["architectures"] == ["SCMP_ARCH_X86_64"]
    lines = [it for it in FILTER.splitlines() if it and not it.startswith(("#", "[", "2", "deny"))]
    assert len(found["syscalls"]) == len([it for it in lines if not it.startswith("socketcall")])
    rules = {rule["names"][0]: rule for rule in found["syscalls"]}
    assert rules["umount2"]["args"][0]["value"] == 1
    assert rules["bpf"] == {"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}


def test_arguments_are_compared_as_lxc_compares_them() -> None:
    text = "socket errno 97 [0,16,SCMP_CMP_GE]\nioctl errno 1 [1,0x8940,SCMP_CMP_MASKED_EQ,0xfe]"
    plain, masked = seccomp(text, "aarch64")["syscalls"]
    assert plain["args"] == [{"index": 0, "value": 16, "op": "SCMP_CMP_GE"}]
    wanted = {"index": 1, "value": 0xFE, "valueTwo": 0x8940, "op": "SCMP_CMP_MASKED_EQ"}
    assert masked["args"] == [wanted]


@pytest.mark.parametrize(
    "line",
    [
        "bpf kill",
        "bpf errno",
        "socket errno 97 [0,16]",
        "socket errno 97 [0,16,SCMP_CMP_GE,1]",
        "ioctl errno 1 [1,2,SCMP_CMP_MASKED_EQ]",
        "2 bpf errno 1",
    ],
)
def test_a_line_that_is_not_understood_is_never_left_out(line: str) -> None:
    with pytest.raises(ValueError, match=r"line of a system call filter|mask"):
        seccomp(f"{FILTER}\n{line}\n", "x86_64")


def test_the_filter_with_nesting_is_understood_as_well() -> None:
    names = [
        rule["names"][0]
        for rule in seccomp(lxc_config.nesting_filter(FILTER), "x86_64")["syscalls"]
    ]
    assert "mount" not in names
    assert "bpf" in names
    assert oci_config.capabilities()[0].startswith("CAP_")
