"""Who may ask what, by permission and by where they ask from."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from qvdnode.admin.dispatch import _admit
from qvdnode.admin.endpoint import Permission
from qvdnode.admin.parts import PARTS
from qvdnode.admin.visitor import Visitor
from qvdnode.model.errors import Unauthenticated


@dataclass(frozen=True)
class Asking:
    """As much of a request as is looked at."""

    remote: str
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    app: dict[object, object] = field(default_factory=lambda: {PARTS: NOBODY_IS_ASKED})


NOBODY_IS_ASKED: Any = SimpleNamespace(
    accounts=SimpleNamespace(operators=SimpleNamespace(operator=None))
)
"""The node's parts: without a token there is nothing to look up."""
ANYBODY = Visitor()


async def admitted(remote: str, permission: Permission) -> object:
    return await _admit(cast("Any", Asking(remote)), permission, is_use=True)


@pytest.mark.parametrize("remote", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
async def test_monitoring_on_the_host_needs_no_token(remote: str) -> None:
    assert await admitted(remote, Permission.OPERATOR_OR_LOOPBACK) == ANYBODY
    with pytest.raises(Unauthenticated):
        await admitted(remote, Permission.OPERATOR)


@pytest.mark.parametrize("remote", ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7", ""])
async def test_monitoring_from_elsewhere_needs_one(remote: str) -> None:
    with pytest.raises(Unauthenticated, match="Authorization"):
        await admitted(remote, Permission.OPERATOR_OR_LOOPBACK)
    assert await admitted(remote, Permission.ANYBODY) == ANYBODY
