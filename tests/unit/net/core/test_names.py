"""Names of links, tables and MAC addresses."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.ids import MAX_WIRE_ID, VmId
from qvdnode.net.core import names

PREFIXES = st.from_regex(r"[a-z][a-z0-9]{0,4}|", fullmatch=True).filter(lambda p: "qv" not in p)
VMS = st.integers(1, MAX_WIRE_ID).map(VmId)


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (35, "Z"), (36, "10"), (468, "D0"), (2**31 - 1, "ZIK0ZJ")]
)
def test_base36(number: int, text: str) -> None:
    assert names.base36(number) == text
    assert int(text, 36) == number


@given(PREFIXES, VMS)
def test_every_name_fits_into_what_linux_allows(prefix: str, vm_id: VmId) -> None:
    assert len(names.link_name(prefix, vm_id)) <= names.MAX_NAME
    assert len(names.bridge_name(prefix)) <= names.MAX_NAME


@given(PREFIXES, PREFIXES, VMS)
def test_a_link_is_told_to_be_its_own_instances_and_no_others(
    ours: str, theirs: str, vm_id: VmId
) -> None:
    link = names.link_name(ours, vm_id)
    assert names.is_guest_link(ours, link)
    assert names.is_guest_link(theirs, link) == (ours == theirs)
    assert link.startswith(names.link_pattern(theirs)[:-1]) == (ours == theirs)


@given(PREFIXES)
def test_the_bridge_is_no_guests_link(prefix: str) -> None:
    assert not names.is_guest_link(prefix, names.bridge_name(prefix))


@pytest.mark.parametrize("name", ["qv", "qvd0", "eth0", "qv1234567", "qvA.1", "xqvA", "qvA\n"])
def test_other_links_are_no_guests(name: str) -> None:
    assert not names.is_guest_link("", name)


def test_table_names_differ_by_instance() -> None:
    assert names.table_name("") == "qvdnode"
    assert names.table_name("demo") == "qvdnode_demo"


@given(PREFIXES, VMS, VMS)
def test_macs_are_local_unicast_and_of_one_vm_only(prefix: str, one: VmId, other: VmId) -> None:
    mac = names.guest_mac(prefix, one)
    assert int(mac[:2], 16) & 0b11 == 0b10
    assert (mac == names.guest_mac(prefix, other)) == (one == other)
    assert mac != names.bridge_mac(prefix, names.bridge_name(prefix))


def test_instances_have_bridges_of_their_own() -> None:
    assert names.bridge_mac("a", "qvd0") != names.bridge_mac("b", "qvd0")
    assert names.bridge_mac("a", "qvd0").startswith("06:")


def test_link_local_address_follows_from_the_mac() -> None:
    assert names.link_local("02:31:00:00:00:01") == IPv6Address("fe80::31:ff:fe00:1")
