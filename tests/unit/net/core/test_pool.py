"""The pool gives each VM an address of its own, as long as there is one."""

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.errors import Conflict, NodeFull
from qvdnode.model.ids import VmId
from qvdnode.net.core.pool import AddressPool

SUBNET = IPv4Network("10.1.0.0/29")


def test_the_first_address_is_the_gateways() -> None:
    pool = AddressPool(SUBNET)
    assert str(pool.gateway) == "10.1.0.1/29"
    assert str(pool.reserve(VmId(1))) == "10.1.0.2/29"


def test_a_vm_keeps_its_address_while_it_is_not_released() -> None:
    pool = AddressPool(SUBNET)
    assert pool.reserve(VmId(3)) == pool.reserve(VmId(3))


def test_a_vm_gets_its_address_again_in_a_new_pool() -> None:
    first = AddressPool(IPv4Network("10.1.0.0/24")).reserve(VmId(77))
    assert AddressPool(IPv4Network("10.1.0.0/24")).reserve(VmId(77)) == first


def test_a_taken_address_is_passed_over() -> None:
    pool = AddressPool(SUBNET)
    assert pool.reserve(VmId(1)) != pool.reserve(VmId(1 + pool.capacity))


def test_a_full_pool_says_so() -> None:
    pool = AddressPool(SUBNET)
    for number in range(1, 6):
        pool.reserve(VmId(number))
    with pytest.raises(NodeFull, match=r"all 5 addresses of 10\.1\.0\.0/29"):
        pool.reserve(VmId(6))
    pool.release(VmId(2))
    assert str(pool.reserve(VmId(6))) == "10.1.0.3/29"


def test_release_is_safe_to_repeat() -> None:
    pool = AddressPool(SUBNET)
    pool.reserve(VmId(1))
    pool.release(VmId(1))
    pool.release(VmId(1))
    assert str(pool.reserve(VmId(1))) == "10.1.0.2/29"


def test_a_claimed_address_is_not_given_out() -> None:
    pool = AddressPool(SUBNET)
    pool.adopt(VmId(9), IPv4Address("10.1.0.2"))
    pool.adopt(VmId(9), IPv4Address("10.1.0.2"))
    assert str(pool.reserve(VmId(9))) == "10.1.0.2/29"
    assert str(pool.reserve(VmId(1))) == "10.1.0.3/29"


def test_a_claim_replaces_what_the_vm_had() -> None:
    pool = AddressPool(SUBNET)
    pool.reserve(VmId(1))
    pool.adopt(VmId(1), IPv4Address("10.1.0.5"))
    assert str(pool.reserve(VmId(6))) == "10.1.0.2/29"


def test_claims_that_cannot_be_are_refused() -> None:
    pool = AddressPool(SUBNET)
    pool.adopt(VmId(1), IPv4Address("10.1.0.4"))
    with pytest.raises(Conflict, match="another VM"):
        pool.adopt(VmId(2), IPv4Address("10.1.0.4"))
    for outside in ("10.1.0.1", "10.1.0.7", "10.2.0.2"):
        with pytest.raises(Conflict, match="is not in"):
            pool.adopt(VmId(2), IPv4Address(outside))


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=80))
def test_no_address_is_ever_given_twice(steps: list[tuple[bool, int]]) -> None:
    pool = AddressPool(IPv4Network("10.1.0.0/28"))
    held: dict[int, IPv4Address] = {}
    for reserve, number in steps:
        if not reserve:
            pool.release(VmId(number))
            held.pop(number, None)
            continue
        try:
            held[number] = pool.reserve(VmId(number)).ip
        except NodeFull:
            assert len(held) == pool.capacity
    assert len(set(held.values())) == len(held)
    assert all(pool.gateway.ip < address for address in held.values())
