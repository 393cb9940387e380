"""The steps of a change of the membership's key."""

import itertools

import pytest

from qvdnode.model.errors import Conflict
from qvdnode.peer.enrolment import FarmSecrets, Rotation
from qvdnode.peer.key_rotation import advanced, begun, keyring_name

OLD, NEW = b"o" * 32, b"n" * 32
REST = FarmSecrets(b"key", (OLD,))


def test_every_step_decrypts_what_the_one_before_encrypts() -> None:
    steps = [REST, begun(REST, NEW)]
    while steps[-1].rotation is not Rotation.NONE:
        steps.append(advanced(steps[-1]))
    assert [step.gossip_keys for step in steps] == [(OLD,), (OLD, NEW), (NEW, OLD), (NEW,)]
    for before, after in itertools.pairwise(steps):
        assert before.gossip_keys[0] in after.gossip_keys
        assert after.gossip_keys[0] in before.gossip_keys
    assert advanced(steps[-1]) == steps[-1]
    assert {step.authority_key for step in steps} == {b"key"}


def test_a_second_change_waits_for_the_first() -> None:
    with pytest.raises(Conflict, match="qvd node key show"):
        begun(begun(REST, NEW), b"x" * 32)


def test_a_ring_is_told_by_its_keys_and_their_order() -> None:
    rings = [(OLD,), (OLD, NEW), (NEW, OLD), (NEW,)]
    assert len({keyring_name(ring) for ring in rings}) == len(rings)
    assert keyring_name(rings[1]) == keyring_name([OLD, NEW])
