"""The recipes that come with the program, and those of an administrator."""

from pathlib import Path

import pytest

from qvdnode.image import recipes
from qvdnode.image.core.recipe import build_argv
from qvdnode.image.core.recipe_choice import DESKTOP_SETTINGS, Choice
from qvdnode.model.errors import Invalid, NotFound

ICEWM = recipes.icewm()
EVERY = pytest.mark.parametrize("name", recipes.names())
SCRIPTS = ("session", "init", "desktop", "desktop-program", "display", "leave", "nx-dialog")


@EVERY
def test_the_session_contract_is_in_every_image(name: str) -> None:
    recipe = recipes.by_name(name)
    paths = [f"usr/lib/qvd/{script}" for script in SCRIPTS]
    for path in (*paths, "usr/local/bin/loginctl", "usr/local/bin/xdg-screensaver"):
        content, mode = recipe.files[path]
        assert mode == 0o755, path
        assert content.startswith(b"#!/bin/sh\n"), path
    assert {"nxagent", "dumb-init"} <= set(recipe.packages)
    assert DESKTOP_SETTINGS in recipe.files


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


@EVERY
def test_the_recipe_makes_a_command(name: str) -> None:
    argv = build_argv(recipes.by_name(name), "/target", sources=())
    assert argv[0] == "mmdebstrap"
    assert argv[-2:] == ["bookworm", "/target"]


@EVERY
def test_no_path_leads_out_of_the_image(name: str) -> None:
    paths = recipes.by_name(name).files
    assert all(not path.startswith("/") and ".." not in path.split("/") for path in paths)


def test_a_recipe_is_known_by_its_name() -> None:
    assert recipes.by_name("icewm").digest() == ICEWM.digest()
    assert {"icewm", "xfce"} <= set(recipes.names())
    with pytest.raises(NotFound, match=r"no recipe plasma; there is .*icewm"):
        recipes.by_name("plasma")
    with pytest.raises(NotFound):
        recipes.by_name("common")  # a base alone makes no desktop


def test_a_choice_is_followed() -> None:
    recipe = recipes.by_name("xfce", Choice("trixie", ("office",), ("es_ES.UTF-8",)))
    assert recipe.suite == "trixie"
    assert {"libreoffice-writer", "libreoffice-l10n-es", "hunspell-es"} <= set(recipe.packages)
    assert "hunspell-fr" not in recipe.packages


OWN = """
base = "xfce"
packages = ["gimp"]
without = ["firefox-esr"]
[files."etc/motd"]
text = "hello"
[files."usr/local/bin/tool"]
source = "tool.sh"
mode = 0o755
"""


def test_an_own_recipe_adds_to_one_of_ours(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text(OWN)
    (tmp_path / "tool.sh").write_text("#!/bin/sh\n")
    recipe = recipes.asked_for(str(tmp_path / "ours.toml"))
    assert recipe.name == "ours"
    assert {"gimp", "xfce4-panel", "firefox-esr"} & set(recipe.packages) == {"gimp", "xfce4-panel"}
    assert recipe.files["etc/motd"] == (b"hello", 0o644)
    assert recipe.files["usr/local/bin/tool"] == (b"#!/bin/sh\n", 0o755)


@pytest.mark.parametrize(
    ("text", "error", "what"),
    [
        (
            OWN,
            Invalid,
            "usr/local/bin/tool is to be made of tool.sh, which is not a file beside it",
        ),
        ('base = "plasma"', NotFound, "no recipe plasma to base another on"),
        ("odd = 1", Invalid, "line 1: there is no key odd"),
        ('suites = ["bookworm"]', Invalid, "ours names no session"),
    ],
)
def test_what_is_wrong_with_an_own_recipe_is_said(
    tmp_path: Path, text: str, error: type[Exception], what: str
) -> None:
    (tmp_path / "ours.toml").write_text(text)
    with pytest.raises(error, match=what):
        recipes.asked_for(str(tmp_path / "ours.toml"))


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file"):
        recipes.asked_for(str(tmp_path / "ours.toml"))
    (tmp_path / "ours.toml").write_bytes(b"\xff")
    with pytest.raises(Invalid, match="cannot be read"):
        recipes.asked_for(str(tmp_path / "ours.toml"))
    with pytest.raises(Invalid, match="cannot be read"):
        recipes.asked_for(f"{tmp_path}/")
    assert recipes.asked_for("icewm").name == "icewm"
