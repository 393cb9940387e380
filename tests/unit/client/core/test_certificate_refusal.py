import pytest

from qvdnode.client.core.certificate_refusal import SELF_SIGNED, VERDICTS, untrusted
from qvdnode.client.core.refusal import PERMANENT


@pytest.mark.parametrize("code", VERDICTS)
def test_each_verdict_names_the_server_and_says_what_to_do(code: int) -> None:
    error = untrusted("desk:8443", code, "openssl's words")
    assert str(error).startswith("The certificate of desk:8443 ")
    assert "; nothing was sent to it. " in str(error)
    assert "openssl's words" not in str(error)
    assert error.self_signed == (code == SELF_SIGNED)


def test_an_unknown_verdict_is_told_in_openssls_words() -> None:
    error = untrusted("desk:8443", 94, "certificate of a kind nobody knows")
    assert "was refused (certificate of a kind nobody knows)" in str(error)
    assert not error.self_signed


def test_dialling_again_does_not_help() -> None:
    assert isinstance(untrusted("desk:8443", 10, ""), PERMANENT)
