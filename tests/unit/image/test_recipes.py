"""The recipes that come with the program."""

import pytest

from qvdnode.image import recipes
from qvdnode.image.core.recipe import build_argv
from qvdnode.model.errors import NotFound

ICEWM = recipes.icewm()


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("usr/lib/qvd/session", 0o755),
        ("usr/lib/qvd/init", 0o755),
        ("usr/lib/qvd/desktop", 0o755),
        ("usr/lib/qvd/display", 0o755),
        ("usr/lib/qvd/nx-dialog", 0o755),
    ],
)
def test_the_session_contract_is_in_the_image(path: str, mode: int) -> None:
    content, found = ICEWM.files[path]
    assert found == mode
    assert content.startswith(b"#!/bin/sh\n")


def test_what_resizes_a_display_is_in_the_image() -> None:
    content, mode = ICEWM.files["usr/lib/qvd/resize"]
    assert mode == 0o755
    assert content.startswith(b"#!/usr/bin/perl\n")


def test_what_guards_a_display_is_made_of_a_file_of_the_image() -> None:
    source = ICEWM.libraries["usr/lib/qvd/nx-guard.so"]
    assert b"_XReply" in ICEWM.files[source][0]


def test_the_session_script_says_its_version() -> None:
    content, _ = ICEWM.files["usr/lib/qvd/session"]
    assert content.splitlines()[1] == b"# qvd-session-version: 1"


def test_the_package_list_is_no_file_of_the_image() -> None:
    assert not any(path.endswith("/packages") for path in ICEWM.files)
    assert {"nxagent", "icewm"} <= set(ICEWM.packages)


def test_the_recipe_makes_a_command() -> None:
    argv = build_argv(ICEWM, "/target", sources=())
    assert argv[0] == "mmdebstrap"
    assert argv[-2:] == ["bookworm", "/target"]


def test_no_path_leads_out_of_the_image() -> None:
    assert all(not path.startswith("/") and ".." not in path.split("/") for path in ICEWM.files)


def test_a_recipe_is_known_by_its_name() -> None:
    assert recipes.by_name("icewm").digest() == ICEWM.digest()
    with pytest.raises(NotFound, match="no recipe kde; there is icewm"):
        recipes.by_name("kde")
