"""Addresses of remotes, and headers of registries."""

import pytest

from qvdnode.image.core import remote_address
from qvdnode.image.core.remote_address import Address, Challenge
from qvdnode.model.errors import BadImage, Invalid


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("docker://registry.example/qvd/desks", Address("registry.example", "qvd/desks")),
        ("docker://127.0.0.1:5000", Address("127.0.0.1:5000", "")),
        ("docker://[::1]:5000/a/", Address("[::1]:5000", "a")),
        ("oci:/srv/images", Address("", "/srv/images")),
    ],
)
def test_an_address_is_a_registry_or_a_folder(text: str, found: Address) -> None:
    assert remote_address.parse(text) == found
    assert remote_address.parse(found.text) == found


@pytest.mark.parametrize(
    "text",
    ["docker://", "docker://a b/x", "docker://host/Upper", "docker://u:p@host/x", "relative",
     "https://host/x", "oci:relative", "oci:/a\0b", "docker://host/../x"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        remote_address.parse(text)


def test_an_image_is_a_repository_below_the_path() -> None:
    assert Address("h", "qvd").repository("office-2") == "qvd/office-2"
    assert Address("h", "").repository("office") == "office"
    for image in ("Office", "a..b", "a-"):
        with pytest.raises(Invalid, match="--as"):
            Address("h", "qvd").repository(image)


def test_a_remote_has_a_plain_name() -> None:
    assert remote_address.require_name("origin") == "origin"
    with pytest.raises(Invalid):
        remote_address.require_name("a/b")


def test_a_registry_says_how_to_log_in() -> None:
    assert remote_address.challenge('Basic realm="x"') == Challenge(bearer=False)
    header = 'Bearer realm="https://auth.example/token",service="r",scope="repository:a:pull,push"'
    assert remote_address.challenge(header) == Challenge(
        True, "https://auth.example/token", "r", "repository:a:pull,push"
    )
    assert remote_address.challenge("bearer realm=https://a/t").service == ""
    for wrong in ("", "Digest x", "Bearer", 'Bearer realm="ftp://a"', 'Bearer realm="http://[a"'):
        with pytest.raises(BadImage, match="unknown kind"):
            remote_address.challenge(wrong)


def test_a_registry_says_how_much_of_an_upload_it_has() -> None:
    assert remote_address.received("0-99") == 100
    assert remote_address.received("bytes=0-0") == 0
    for wrong in ("", "5-9", "0-", "0--1"):
        with pytest.raises(BadImage):
            remote_address.received(wrong)
