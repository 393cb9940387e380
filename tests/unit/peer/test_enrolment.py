"""How a host stands to the farm in its database, and who can open the farm's secrets."""

from datetime import UTC, datetime, timedelta

import pytest

from qvdnode.db.farm import FarmRow
from qvdnode.model.errors import Forbidden
from qvdnode.model.ids import FarmId, NodeId
from qvdnode.peer.enrolment import (
    FarmSecrets,
    Standing,
    needs_renewal,
    seal,
    standing,
    unseal,
)
from qvdnode.peer.farm_files import FarmMember
from qvdnode.tls.farm_authority import RENEW_BEFORE, PeerIdentity

FARM = FarmId("farm")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MEMBER = FarmMember(FARM, "authority", b"k" * 32, NodeId(2))
ROW = FarmRow(FARM, "authority", b"sealed")
SECRETS = FarmSecrets(b"-----BEGIN KEY", (b"g" * 32, b"o" * 32), removed=frozenset({NodeId(3)}))


def test_the_first_host_makes_the_farm() -> None:
    assert standing(None, None, ()) is Standing.FIRST
    assert standing(MEMBER, None, ("two",)) is Standing.FIRST


def test_a_joined_host_is_a_member_whoever_else_serves() -> None:
    assert standing(MEMBER, ROW, ()) is Standing.MEMBER
    assert standing(MEMBER, ROW, ("one", "two")) is Standing.MEMBER


@pytest.mark.parametrize("member", [None, FarmMember(FARM, "older", b"k" * 32)])
def test_a_host_without_the_farms_keys_must_join_while_others_serve(
    member: FarmMember | None,
) -> None:
    with pytest.raises(Forbidden, match="and one, two, three and others of it serve"):
        standing(member, ROW, ("one", "two", "three", "four"))
    with pytest.raises(Forbidden, match="and one of it serves"):
        standing(member, ROW, ("one",))
    assert standing(member, ROW, ()) is Standing.LAST


def test_a_node_of_another_farm_is_told_so() -> None:
    with pytest.raises(Forbidden, match="a node of another farm"):
        standing(MEMBER, FarmRow(FarmId("other"), "authority", b""), ())


def test_only_joined_nodes_open_the_secrets() -> None:
    sealed = seal(SECRETS, b"k" * 32, FARM, b"n" * 12)
    assert SECRETS.authority_key not in sealed
    assert unseal(sealed, b"k" * 32, FARM) == SECRETS
    for key, farm in ((b"x" * 32, FARM), (b"k" * 32, FarmId("other"))):
        with pytest.raises(Forbidden, match="does not open the farm's secrets"):
            unseal(sealed, key, farm)


@pytest.mark.parametrize(
    ("identity", "renew"),
    [
        (PeerIdentity(FARM, NodeId(2), b"key", NOW + timedelta(days=60)), False),
        (PeerIdentity(FARM, NodeId(2), b"key", NOW + RENEW_BEFORE - timedelta(hours=1)), True),
        (PeerIdentity(FARM, NodeId(3), b"key", NOW + timedelta(days=60)), True),
        (PeerIdentity(FARM, NodeId(2), b"old", NOW + timedelta(days=60)), True),
        (PeerIdentity(FarmId("x"), NodeId(2), b"key", NOW + timedelta(days=60)), True),
    ],
)
def test_a_certificate_is_renewed_in_time_or_when_it_is_not_ours(
    identity: PeerIdentity, *, renew: bool
) -> None:
    assert needs_renewal(identity, MEMBER, b"key", NOW) is renew
