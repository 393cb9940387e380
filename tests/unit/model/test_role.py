"""Roles are ranks."""

from qvdnode.model.role import Role


def test_each_role_covers_those_before_it() -> None:
    order = [Role.VIEWER, Role.HELPDESK, Role.ADMIN]
    for rank, role in enumerate(order):
        assert [role.covers(wanted) for wanted in order] == [at <= rank for at in range(3)]
