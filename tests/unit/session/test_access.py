"""Who may use which desktop."""

from dataclasses import replace

import pytest

from qvdnode.model.errors import Forbidden, NotFound
from qvdnode.model.farm import Vm
from qvdnode.model.ids import FlavourId, Generation, TenantId, UserId, VmId
from qvdnode.model.principal import Principal
from qvdnode.model.vm_state import VmState
from qvdnode.session.access import check

ALICE = Principal(UserId(1), TenantId(1), "alice", "default")
DESK = Vm(
    id=VmId(7),
    tenant_id=TenantId(1),
    user_id=UserId(1),
    user_login="alice",
    flavour_id=FlavourId(1),
    flavour="office",
    name="desk",
    blocked=False,
    is_application=False,
    state=VmState.STOPPED,
    generation=Generation(0),
    owner_node=None,
    error=None,
)


def test_the_owner_may() -> None:
    assert check(ALICE, DESK.id, DESK) is DESK


def test_a_vm_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        check(ALICE, VmId(8), None)


def test_a_vm_of_another_tenant_is_not_found_even_with_the_same_user_number() -> None:
    with pytest.raises(NotFound):
        check(ALICE, DESK.id, replace(DESK, tenant_id=TenantId(2)))


@pytest.mark.parametrize(
    "vm",
    [
        replace(DESK, user_id=UserId(2)),
        replace(DESK, blocked=True),
    ],
    ids=["somebody else's", "blocked"],
)
def test_what_is_in_the_tenant_but_not_to_be_used_is_forbidden(vm: Vm) -> None:
    with pytest.raises(Forbidden):
        check(ALICE, vm.id, vm)


def test_a_token_for_one_vm_opens_no_other() -> None:
    bound = replace(ALICE, only_vm=VmId(9))
    with pytest.raises(Forbidden):
        check(bound, DESK.id, DESK)
    assert check(replace(ALICE, only_vm=DESK.id), DESK.id, DESK) is DESK


def test_somebody_elses_blocked_vm_does_not_tell_that_it_is_blocked() -> None:
    with pytest.raises(Forbidden, match="somebody else"):
        check(ALICE, DESK.id, replace(DESK, user_id=UserId(2), blocked=True))
