import pytest

from qvdnode.cli.node_address import digest_of, parse_fingerprint, parse_url, split_address
from qvdnode.model.errors import Invalid

DIGITS = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("https://node1", "https://node1:8444"),
        ("https://node1:9000/", "https://node1:9000"),
        ("node1", "https://node1:8444"),
        ("10.0.0.1:9000", "https://10.0.0.1:9000"),
        ("https://[2001:db8::1]:9000", "https://[2001:db8::1]:9000"),
    ],
)
def test_what_people_type_becomes_a_url(typed: str, url: str) -> None:
    assert parse_url(typed) == url


@pytest.mark.parametrize(
    "typed",
    ["http://node1", "https://", "https://node1/api", "https://a:b@node1", "https://node1:99999"],
)
def test_what_is_no_node_is_refused(typed: str) -> None:
    with pytest.raises(Invalid):
        parse_url(typed)


def test_a_url_comes_apart_again() -> None:
    assert split_address("https://[2001:db8::1]:9000") == ("2001:db8::1", 9000)


@pytest.mark.parametrize(
    "typed",
    [
        DIGITS,
        f"SHA256:{DIGITS}",
        f"sha256:{DIGITS.upper()}",
        ":".join(DIGITS[i : i + 2] for i in range(0, 64, 2)),
    ],
)
def test_fingerprints_are_read_in_all_common_forms(typed: str) -> None:
    assert parse_fingerprint(typed) == f"SHA256:{DIGITS}"
    assert digest_of(typed) == bytes.fromhex(DIGITS)


@pytest.mark.parametrize("typed", ["", "SHA256:", DIGITS[:-1], DIGITS + "0", "x" * 64])
def test_what_is_no_fingerprint_is_refused(typed: str) -> None:
    with pytest.raises(Invalid):
        parse_fingerprint(typed)
