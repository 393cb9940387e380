"""The table of who may call what: no endpoint lacks its row, and none is open by mistake."""

import pytest

from qvdnode.admin.access import ACCESS, Reach, allowed_calls, require_role
from qvdnode.admin.endpoint import Permission
from qvdnode.admin.endpoints import SERVED
from qvdnode.model.errors import Forbidden
from qvdnode.model.ids import TenantId
from qvdnode.model.principal import Operator
from qvdnode.model.role import Role

OF_OPERATORS = {Permission.OPERATOR, Permission.OPERATOR_OR_LOOPBACK}
ENDPOINTS = [one for _, one in SERVED if one.permission in OF_OPERATORS]
OWN = {"create_link", "end_login"}
"""Writes of what is the caller's own."""


def test_every_endpoint_of_operators_has_a_row_and_no_row_is_left_over() -> None:
    assert {one.handler.__name__ for one in ENDPOINTS} == set(ACCESS)


def test_a_viewer_changes_nothing() -> None:
    writes = {one.handler.__name__ for one in ENDPOINTS if one.method != "GET"}
    assert {name for name in writes if ACCESS[name][0] is Role.VIEWER} == OWN


def test_what_names_an_object_of_a_tenant_is_checked() -> None:
    shared = [name for name, (_, reach) in ACCESS.items() if reach is Reach.SHARED]
    assert not [name for name in shared if "vm" in name or "user" in name or "flavour" in name]


@pytest.mark.parametrize("role", Role)
def test_a_role_may_call_what_its_row_says(role: Role) -> None:
    operator = Operator("ana", 1, role)
    calls = {name: name for name in ACCESS}
    allowed = set(allowed_calls(operator, calls))
    for name, (wanted, _) in ACCESS.items():
        if role.covers(wanted):
            require_role(operator, name)
        else:
            with pytest.raises(Forbidden, match=wanted):
                require_role(operator, name)
        assert (name in allowed) == role.covers(wanted)


def test_a_token_of_one_tenant_reaches_nothing_of_the_farm() -> None:
    operator = Operator("ana", 1, Role.ADMIN, TenantId(7))
    of_farm = {name for name, (_, reach) in ACCESS.items() if reach is Reach.FARM}
    assert {"list_audit", "create_token", "invite_node", "metrics"} <= of_farm
    for name in of_farm:
        with pytest.raises(Forbidden, match="whole farm"):
            require_role(operator, name)
    assert not of_farm & set(allowed_calls(operator, {name: name for name in ACCESS}))
    require_role(operator, "create_user")
