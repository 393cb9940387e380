import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.image.core.recipe_text import Addition, FileText, RecipeText, parse
from qvdnode.model.errors import Invalid

WHOLE = """
about = "Ours"
base = "xfce"
suites = ["trixie", "bookworm"]
locales = ["es_ES", "ca_ES@valencia"]
packages = ["gimp"]
without = ["firefox-esr"]
session = "startxfce4"
window_manager = "xfwm4"
commands = ["dconf update"]

[languages]
es = ["hunspell-es"]
pt_BR = []

[suite.trixie]
packages = ["new"]
without = ["old"]

[add.office]
packages = ["libreoffice"]
[add.office.languages]
es = ["libreoffice-l10n-es"]

[files."etc/motd"]
text = "hello"
[files."usr/local/bin/tool"]
source = "tool.sh"
mode = 0o755
"""


def test_every_key_is_read() -> None:
    assert parse(WHOLE, "ours.toml") == RecipeText(
        about="Ours",
        base="xfce",
        suites=("trixie", "bookworm"),
        locales=("es_ES", "ca_ES@valencia"),
        addition=Addition(("gimp",), {"es": ("hunspell-es",), "pt_BR": ()}),
        without=("firefox-esr",),
        by_suite={"trixie": (("new",), ("old",))},
        groups={"office": Addition(("libreoffice",), {"es": ("libreoffice-l10n-es",)})},
        files={
            "etc/motd": FileText("hello", None, 0o644),
            "usr/local/bin/tool": FileText(None, "tool.sh", 0o755),
        },
        commands=("dconf update",),
        session="startxfce4",
        window_manager="xfwm4",
    )


def test_an_empty_file_adds_nothing() -> None:
    assert parse("", "ours.toml") == RecipeText()


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('about = "x"\n\npackage = []', 3, "there is no key package; there are about, base"),
        ('# packages\npackages = "gimp"', 2, "packages must be a list of texts"),
        ("packages = [1]", 1, "packages must be a list of texts"),
        ('packages = [\n  "gimp",\n  "a b",\n]', 3, "'a b' is not the name of a package"),
        ('packages = ["x --force"]', 1, "is not the name of a package"),
        ('\nlocales = ["es_ES.UTF-8"]', 2, "'es_ES.UTF-8' is not a locale such as es_ES"),
        ("about = 3", 1, "about must be one line of text"),
        ('session = ""', 1, "session must be one line of text"),
        ('session = "a\\nb"', 1, "session must be one line of text"),
        ('base = "../x"', 1, "'../x' is not the name of a recipe"),
        ('suites = ["-x"]', 1, "'-x' is not the name of a Debian release"),
        ("languages = []", 1, "languages must be a table"),
        ("[languages]\nspanish_es = []", 2, "'spanish_es' is not a language such as es"),
        ('[languages]\nes = "x"', 2, "es must be a list of texts"),
        ("add = 1", 1, "add must be a table"),
        ("[add]\noffice = 1", 2, "office must be a table"),
        ("[add.office]\nfiles = 1", 2, "there is no key files in add.office; there are packages"),
        ("[suite]\ntrixie = 1", 2, "trixie must be a table"),
        ("[suite.trixie]\nbase = 1", 2, "there is no key base in suite.trixie"),
        ("[files]\nx = 1", 2, "x must be a table"),
        ("[files.x]\nowner = 1", 2, "there is no key owner in files.x"),
        ("\n[files.x]", 2, "the file x needs a text or a source, and not both"),
        ('[files.x]\ntext = "a"\nsource = "b"', 1, "needs a text or a source, and not both"),
        ("[files.x]\ntext = 1", 1, "needs a text or a source, and not both"),
        ('[files.x]\ntext = "a"\nmode = "0644"', 1, "the mode of x must be one such as 0o644"),
        ('[files.x]\ntext = "a"\nmode = 0o4755', 1, "the mode of x must be one such as 0o644"),
        ('[files."/x"]\ntext = "a"', 1, "'/x' is not a path below the image's root"),
        ('[files."a/../../x"]\ntext = "a"', 1, "is not a path below the image's root"),
        ('"od\\u0064" = 1', 1, "there is no key odd"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, what: str) -> None:
    with pytest.raises(Invalid) as raised:
        parse(text, "ours.toml")
    assert str(raised.value).startswith(f"ours.toml, line {line}: ")
    assert what in str(raised.value)


def test_a_file_that_is_no_toml_says_where() -> None:
    with pytest.raises(Invalid, match=r"ours.toml is not TOML: .*at line 2, column 1"):
        parse('about = "x"\n= 3\n', "ours.toml")


keys = st.sampled_from(
    ("about", "base", "suites", "locales", "packages", "languages", "without", "suite", "add",
     "files", "commands", "session", "window_manager", "odd")
)  # fmt: skip
scalars = st.sampled_from(
    ("1", "true", '""', '"x"', '"a/../b"', '"es"', "0o755", "1.5", "2026-01-01")
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(
            keys | st.text(string.ascii_lowercase, min_size=1, max_size=3), inner, max_size=3
        ).map(lambda table: "{" + ", ".join(f"{k} = {v}" for k, v in table.items()) + "}")
    ),
    max_leaves=6,
)


@given(st.dictionaries(keys, values, max_size=6))
def test_whatever_the_values_are_it_is_a_recipe_or_a_sentence(table: dict[str, str]) -> None:
    text = "\n".join(f"{key} = {value}" for key, value in table.items())
    try:
        found = parse(text, "ours.toml")
    except Invalid as error:
        line = int(str(error).split(": ", 1)[0].rsplit(" ", 1)[1])
        assert 1 <= line <= max(1, len(table))
    else:
        assert all(".." not in path.split("/") for path in found.files)
        assert all(isinstance(name, str) for name in found.addition.packages)


@given(st.text())
def test_any_text_is_a_recipe_or_a_sentence(text: str) -> None:
    with contextlib.suppress(Invalid):
        assert isinstance(parse(text, "ours.toml"), RecipeText)
