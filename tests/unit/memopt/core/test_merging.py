import pytest

from qvdnode.memopt.core.merging import Merging, may_merge
from qvdnode.model.ids import TenantId

ACME, OTHER = TenantId(1), TenantId(2)


@pytest.mark.parametrize(
    ("policy", "merging", "allowed"),
    [
        (Merging.OFF, set(), False),
        (Merging.TENANT, set(), True),
        (Merging.TENANT, {ACME}, True),
        (Merging.TENANT, {OTHER}, False),
        (Merging.TENANT, {ACME, OTHER}, False),
        (Merging.ALL, {OTHER}, True),
    ],
)
def test_tenants_are_kept_apart_unless_the_node_says_otherwise(
    policy: Merging, merging: set[TenantId], *, allowed: bool
) -> None:
    assert may_merge(policy, ACME, merging) is allowed
