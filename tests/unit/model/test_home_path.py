"""Paths that a browser sends are below the home, by their text at least."""

import pytest

from qvdnode.model.errors import Invalid
from qvdnode.model.home_path import NAME_BYTES_MAX, PARTS_MAX, check_name, parts_of


def test_a_path_has_parts() -> None:
    assert parts_of("") == ()
    assert parts_of("Documentos/año 2026/¿qué?.txt") == ("Documentos", "año 2026", "¿qué?.txt")
    assert parts_of(".config") == (".config",)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "..",
        "a/../b",
        "a//b",
        "a/",
        "./a",
        "a\0b",
        "a\nb",
        "a\x7fb",
        "\ud800",
        ".qvd-upload-0",
        "x" * (NAME_BYTES_MAX + 1),
        "ñ" * (NAME_BYTES_MAX // 2 + 1),
        "/".join("a" * (PARTS_MAX + 1)),
    ],
)
def test_what_leads_elsewhere_or_nowhere_is_refused(path: str) -> None:
    with pytest.raises(Invalid) as refused:
        parts_of(path)
    assert refused.value.field == "path"


def test_a_name_has_no_slash() -> None:
    check_name("a", field="name")
    with pytest.raises(Invalid):
        check_name("a/b", field="name")
