import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.cluster.keyring import OVERHEAD_BYTES, Forged, Keyring

OLD = b"o" * 16
NEW = b"n" * 32
NONCE = bytes(12)


@given(st.binary(max_size=1400), st.sampled_from([16, 24, 32]))
def test_an_encrypted_packet_is_decrypted(plain: bytes, size: int) -> None:
    ring = Keyring("farm", [b"k" * size])
    sealed = ring.seal(plain, NONCE)
    assert len(sealed) == len(plain) + OVERHEAD_BYTES
    assert ring.open(sealed) == plain


@given(st.binary(max_size=100))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    for sealed in (data, b"\x01" + data):
        with pytest.raises(Forged):
            Keyring("farm", [OLD]).open(sealed)


def test_a_single_bit_is_noticed() -> None:
    ring = Keyring("farm", [OLD])
    sealed = ring.seal(b"plain", NONCE)
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(Forged):
            ring.open(bytes(changed))


def test_one_key_in_two_farms_opens_nothing_of_the_other() -> None:
    sealed = Keyring("one", [OLD]).seal(b"plain", NONCE)
    with pytest.raises(Forged):
        Keyring("other", [OLD]).open(sealed)


def test_a_rotation_in_three_steps_loses_nothing() -> None:
    start = Keyring("farm", [OLD])
    added = start.with_key(NEW, first=False)
    used = added.with_key(NEW, first=True)
    done = used.without_key(OLD)
    rings = [start, added, used, done]
    assert [ring.keys for ring in rings] == [(OLD,), (OLD, NEW), (NEW, OLD), (NEW,)]
    # At any moment some have made the next step and others not.
    for one, other in itertools.pairwise(rings):
        assert other.open(one.seal(b"plain", NONCE)) == b"plain"
        assert one.open(other.seal(b"plain", NONCE)) == b"plain"
    with pytest.raises(Forged):
        done.open(start.seal(b"plain", NONCE))


def test_bad_keys_are_refused() -> None:
    for keys in ([], [OLD] * 9, [b"short"], [OLD, b""]):
        with pytest.raises(ValueError, match="key"):
            Keyring("farm", keys)
    with pytest.raises(ValueError, match="keyring"):
        Keyring("farm", [OLD]).without_key(OLD)
