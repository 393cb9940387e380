import hashlib

from qvdnode.tls.pin import fingerprint_of


def test_a_fingerprint_is_the_sha256_of_the_certificate() -> None:
    assert fingerprint_of(b"der") == "SHA256:" + hashlib.sha256(b"der").hexdigest()


def test_two_certificates_differ() -> None:
    assert fingerprint_of(b"a") != fingerprint_of(b"b")
