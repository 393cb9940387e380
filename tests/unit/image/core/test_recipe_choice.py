import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.image.core.recipe_choice import (
    DEFAULT_LOCALE,
    DESKTOP_SETTINGS,
    Choice,
    Files,
    choose,
)
from qvdnode.image.core.recipe_text import Addition, RecipeText
from qvdnode.model.errors import Invalid

FILES: Files = {"etc/x": (b"x", 0o644)}
BASE = RecipeText(
    suites=("bookworm", "trixie"),
    locales=("es_ES", "pt_BR"),
    addition=Addition(
        ("firefox", "nano"),
        {"es": ("spell-es",), "pt_BR": ("spell-br",), "pt_PT": ("spell-pt",), "de": ("spell-de",)},
    ),
    groups={"office": Addition(("writer",), {"es": ("writer-es",)})},
    by_suite={"trixie": (("new",), ("nano",))},
    commands=("first",),
    session="base",
)
TOP = RecipeText(
    addition=Addition(("xfce4-panel",)),
    without=("firefox",),
    groups={"office": Addition(("writer-gtk",))},
    commands=("second",),
    session="start'xfce4",
    window_manager="xfwm4",
)
BOTH = (BASE, TOP)


def test_what_comes_later_adds_takes_away_and_replaces() -> None:
    made = choose("xfce", BOTH, FILES, Choice())
    assert (made.name, made.suite, made.locales) == ("xfce", "bookworm", ("es_ES", "pt_BR"))
    assert made.packages == ("nano", "spell-br", "spell-es", "xfce4-panel")
    assert made.commands == ("first", "second")
    assert made.files["etc/x"] == (b"x", 0o644)
    assert DEFAULT_LOCALE not in made.files


def test_the_desktop_is_told_what_to_run_in_words_of_the_shell() -> None:
    settings, mode = choose("xfce", BOTH, FILES, Choice()).files[DESKTOP_SETTINGS]
    assert mode == 0o644
    assert shlex.split(settings.decode()) == ["session=start'xfce4", "window_manager=xfwm4"]
    settings, _ = choose("base", (BASE,), FILES, Choice()).files[DESKTOP_SETTINGS]
    assert shlex.split(settings.decode()) == ["session=base", "window_manager="]


def test_a_suite_may_be_asked_for_and_has_its_own_packages() -> None:
    made = choose("xfce", BOTH, FILES, Choice(suite="trixie"))
    assert made.suite == "trixie"
    assert {"new", "nano"} & set(made.packages) == {"new"}
    with pytest.raises(Invalid, match="xfce is made for bookworm, trixie, not for sid"):
        choose("xfce", BOTH, FILES, Choice(suite="sid"))


def test_locales_asked_for_come_instead_the_first_as_default() -> None:
    asked = ("pt_PT.UTF-8", "de_DE", "ca_ES.utf8@valencia", "pt_PT")
    made = choose("xfce", BOTH, FILES, Choice(locales=asked))
    assert made.locales == ("pt_PT", "de_DE", "ca_ES@valencia")
    assert made.files[DEFAULT_LOCALE] == (b"LANG=pt_PT.UTF-8\n", 0o644)
    assert {name for name in made.packages if name.startswith("spell")} == {"spell-pt", "spell-de"}


@pytest.mark.parametrize("odd", ["", "es", "es_ES.ISO-8859-1", "C.UTF-8", "es_ES.UTF-8; true"])
def test_what_is_no_locale_is_refused(odd: str) -> None:
    with pytest.raises(Invalid, match="is not a locale such as"):
        choose("xfce", BOTH, FILES, Choice(locales=(odd,)))


def test_groups_and_packages_are_added() -> None:
    made = choose("xfce", BOTH, FILES, Choice(add=("office", "gimp", "firefox")))
    assert {"writer", "writer-es", "writer-gtk", "gimp", "firefox"} <= set(made.packages)


def test_what_is_neither_is_refused_naming_the_groups() -> None:
    with pytest.raises(Invalid, match=r"-x is neither a package nor .* groups \(office\)"):
        choose("xfce", BOTH, FILES, Choice(add=("-x",)))
    with pytest.raises(Invalid, match=r"\(none\)"):
        choose("top", (RecipeText(suites=("sid",), session="x"),), FILES, Choice(add=("A",)))


def test_a_recipe_names_suites_and_a_session() -> None:
    with pytest.raises(Invalid, match="top names no suites"):
        choose("top", (TOP,), FILES, Choice())
    with pytest.raises(Invalid, match="base names no session"):
        choose("base", (RecipeText(suites=("sid",)),), FILES, Choice())


def test_a_recipe_may_do_without_locales() -> None:
    assert choose("x", (RecipeText(suites=("sid",), session="x"),), {}, Choice()).locales == ()


names = st.sampled_from(("a1", "b1", "c1"))
texts = st.builds(
    RecipeText,
    addition=st.builds(Addition, st.lists(names).map(tuple)),
    without=st.lists(names).map(tuple),
)


@given(st.lists(texts, max_size=4), st.lists(names, max_size=2))
def test_the_last_word_on_a_package_counts(layers: list[RecipeText], added: list[str]) -> None:
    made = choose("x", [BASE, *layers], FILES, Choice(add=tuple(added)))
    for name in ("a1", "b1", "c1"):
        wanted = name in added
        for text in layers if not wanted else ():
            wanted = name in text.addition.packages or (wanted and name not in text.without)
        assert (name in made.packages) is wanted
