"""Combines a recipe file, its base files and a user's choices into one recipe; pure."""

import re
import shlex
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from qvdnode.image.core.recipe import Recipe
from qvdnode.image.core.recipe_text import PACKAGE, Addition, RecipeText
from qvdnode.model.errors import Invalid

DESKTOP_SETTINGS: Final = "usr/lib/qvd/desktop.conf"
DEFAULT_LOCALE: Final = "etc/default/locale"
_ASKED_LOCALE: Final = re.compile(r"([A-Za-z]{2,3}_[A-Z]{2})(\.(?:UTF-8|utf8))?(@[a-z]+)?")

Files = Mapping[str, tuple[bytes, int]]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a user may choose beyond the recipe."""

    suite: str | None = None
    """A Debian release; None means the recipe's usual one."""
    add: tuple[str, ...] = ()
    """Packages, and names of the recipe's groups."""
    locales: tuple[str, ...] = ()
    """Instead of the recipe's, such as es_ES or es_ES.UTF-8; the first is the image's default."""


def choose(name: str, texts: Sequence[RecipeText], files: Files, choice: Choice) -> Recipe:
    """The recipe of `texts`, the base first; `files` holds every file of the image.

    Raises Invalid when the choice does not fit, or the recipe is not whole.
    """
    suite = _suite(name, [text.suites for text in texts if text.suites], choice)
    asked = tuple(dict.fromkeys(map(_locale, choice.locales)))
    locales = asked or [(), *(text.locales for text in texts if text.locales)][-1]
    made = {**files, DESKTOP_SETTINGS: (_settings(name, texts), 0o644)}
    if asked:
        made[DEFAULT_LOCALE] = (f"LANG={asked[0]}.UTF-8\n".encode(), 0o644)
    return Recipe(
        name,
        suite,
        tuple(sorted(_packages(texts, choice, suite, locales))),
        locales,
        made,
        commands=tuple(command for text in texts for command in text.commands),
    )


def _suite(name: str, stated: Sequence[tuple[str, ...]], choice: Choice) -> str:
    if not stated:
        raise Invalid(f"The recipe {name} names no suites: the Debian releases it is made for.")
    known = stated[-1]
    if choice.suite is not None and choice.suite not in known:
        raise Invalid(f"The recipe {name} is made for {', '.join(known)}, not for {choice.suite}.")
    return choice.suite or known[0]


def _locale(asked: str) -> str:
    found = _ASKED_LOCALE.fullmatch(asked)
    if found is None:
        raise Invalid(f"{asked} is not a locale such as es_ES.UTF-8.")
    return f"{found[1]}{found[3] or ''}"


def _settings(name: str, texts: Sequence[RecipeText]) -> bytes:
    sessions = [text.session for text in texts if text.session]
    if not sessions:
        raise Invalid(f"The recipe {name} names no session: the command of its desktop.")
    managers = ["", *(text.window_manager for text in texts if text.window_manager)]
    return (
        f"session={shlex.quote(sessions[-1])}\nwindow_manager={shlex.quote(managers[-1])}\n"
    ).encode()


def _packages(
    texts: Sequence[RecipeText], choice: Choice, suite: str, locales: Sequence[str]
) -> set[str]:
    languages = {locale.partition("@")[0].partition("_")[0] for locale in locales} | set(locales)
    packages: set[str] = set()
    groups: dict[str, list[Addition]] = {}
    for text in texts:
        more, fewer = text.by_suite.get(suite, ((), ()))
        packages -= {*text.without}
        packages |= _installed(text.addition, languages)
        packages -= {*fewer}
        packages |= {*more}
        for group, addition in text.groups.items():
            groups.setdefault(group, []).append(addition)
    for word in choice.add:
        packages |= _added(word, groups, languages)
    return packages


def _installed(addition: Addition, languages: Set[str]) -> set[str]:
    chosen = [names for language, names in addition.languages.items() if language in languages]
    return {*addition.packages, *(name for names in chosen for name in names)}


def _added(word: str, groups: Mapping[str, Sequence[Addition]], languages: Set[str]) -> set[str]:
    if word in groups:
        return {name for part in groups[word] for name in _installed(part, languages)}
    if not PACKAGE.fullmatch(word):
        known = ", ".join(groups) or "none"
        raise Invalid(f"{word} is neither a package nor one of the recipe's groups ({known}).")
    return {word}
