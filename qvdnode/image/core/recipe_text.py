"""Parses a recipe, the TOML file that says what an image contains; pure.

docs/desktops.md explains the keys. A file holds only the differences from its base.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from qvdnode.model.errors import Invalid

PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9+.-]+")
LOCALE: Final = re.compile(r"[A-Za-z]{2,3}_[A-Z]{2}(@[a-z]+)?")
NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")
LANGUAGE: Final = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?")
_PATH: Final = re.compile(r"[^/\0\n]+(/[^/\0\n]+)*")
_MODES: Final = frozenset({0o644, 0o755, 0o600, 0o640, 0o700, 0o750, 0o440, 0o444, 0o555})

Packages = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Addition:
    """Packages, and additional packages for each language or locale."""

    packages: Packages = ()
    languages: Mapping[str, Packages] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileText:
    """A file of the image: its text, or the file beside the recipe that holds it."""

    text: str | None
    source: str | None
    mode: int


@dataclass(frozen=True, slots=True)
class RecipeText:
    """One recipe's file as written: what it adds to its base, and what it takes away."""

    about: str = ""
    """A sentence for people."""
    base: str | None = None
    """The name of the recipe that this one adds to."""
    suites: tuple[str, ...] = ()
    """Debian releases that it is made for, the usual one first; empty means those of the base."""
    locales: tuple[str, ...] = ()
    """Empty means those of the base."""
    addition: Addition = field(default_factory=Addition)
    without: Packages = ()
    """Packages of the base that are left out."""
    by_suite: Mapping[str, tuple[Packages, Packages]] = field(default_factory=dict)
    """Debian release -> packages added and left out."""
    groups: Mapping[str, Addition] = field(default_factory=dict)
    """Name of a group -> what `--add` of it installs."""
    files: Mapping[str, FileText] = field(default_factory=dict)
    """Path in the image, without a leading slash -> file."""
    commands: tuple[str, ...] = ()
    """Shell commands that run in the image after everything else is installed."""
    session: str | None = None
    """The command of the desktop."""
    window_manager: str | None = None
    """The window manager of a single application."""


class _Refused(Exception):
    """An error in the file, and the key whose line to report."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(what)
        self.key = key


def parse(text: str, where: str) -> RecipeText:
    """Parse a recipe; raises Invalid with `where` and the line of the error."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"{where} is not TOML: {error}.") from error
    try:
        return _recipe(table)
    except _Refused as refused:
        line = _line_of(refused.key, text)
        raise Invalid(f"{where}, line {line}: {refused}.") from refused


def _recipe(table: Mapping[str, Any]) -> RecipeText:
    found: dict[str, Any] = {}
    for key, value in table.items():
        if key not in _KEYS:
            raise _Refused(key, f"there is no key {key}; there are {', '.join(_KEYS)}")
        if key not in {"packages", "languages"}:
            attribute, read = _KEYS[key]
            found[attribute] = read(key, value)
    return RecipeText(**found, addition=_addition(table))


def _line_of(key: str, text: str) -> int:
    """Return the first line that names the key, since the parser records no lines."""
    word = re.compile(rf"(^|[\s\[.\"'=,{{])({re.escape(key)})($|[\s\].\"'=,}}])")
    lines = text.splitlines()
    plain = [line.split("#", maxsplit=1)[0] for line in lines]
    return next((number for number, line in enumerate(plain, start=1) if word.search(line)), 1)


def _sentence(key: str, value: object) -> str:
    if not isinstance(value, str) or not value or "\n" in value:
        raise _Refused(key, f"{key} must be one line of text")
    return value


def _words(key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise _Refused(key, f"{key} must be a list of texts")
    return tuple(value)


def _table(key: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _Refused(key, f"{key} must be a table")
    return value


def _matching(pattern: re.Pattern[str], kind: str) -> Callable[[str, object], tuple[str, ...]]:
    def read(key: str, value: object) -> tuple[str, ...]:
        words = _words(key, value)
        for word in words:
            if not pattern.fullmatch(word):
                raise _Refused(word, f"{word!r} is not {kind}")
        return words

    return read


_packages: Final = _matching(PACKAGE, "the name of a package")


def _name(key: str, value: object) -> str:
    name = _sentence(key, value)
    if not NAME.fullmatch(name):
        raise _Refused(key, f"{name!r} is not the name of a recipe")
    return name


def _only(key: str, table: Mapping[str, Any], *known: str) -> None:
    for odd in table:
        if odd not in known:
            raise _Refused(odd, f"there is no key {odd} in {key}; there are {', '.join(known)}")


def _addition(table: Mapping[str, Any]) -> Addition:
    languages = _table("languages", table.get("languages", {}))
    for language in languages:
        if not LANGUAGE.fullmatch(language):
            raise _Refused(language, f"{language!r} is not a language such as es or pt_BR")
    return Addition(
        _packages("packages", table.get("packages", [])),
        {language: _packages(language, names) for language, names in languages.items()},
    )


def _groups(key: str, value: object) -> Mapping[str, Addition]:
    groups = {}
    for name, table in _table(key, value).items():
        _only(f"{key}.{name}", _table(name, table), "packages", "languages")
        groups[name] = _addition(table)
    return groups


def _by_suite(key: str, value: object) -> Mapping[str, tuple[Packages, Packages]]:
    suites = {}
    for name, table in _table(key, value).items():
        _only(f"{key}.{name}", _table(name, table), "packages", "without")
        pair = [_packages(one, table.get(one, [])) for one in ("packages", "without")]
        suites[name] = (pair[0], pair[1])
    return suites


def _files(key: str, value: object) -> Mapping[str, FileText]:
    return {path: _file(path, table) for path, table in _table(key, value).items()}


def _file(path: str, value: object) -> FileText:
    table = _table(path, value)
    _only(f"files.{path}", table, "text", "source", "mode")
    if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise _Refused(path, f"{path!r} is not a path below the image's root, such as etc/motd")
    text, source = table.get("text"), table.get("source")
    if sorted(type(one).__name__ for one in (text, source)) != ["NoneType", "str"]:
        raise _Refused(path, f"the file {path} needs a text or a source, and not both")
    mode = table.get("mode", 0o644)
    if mode not in _MODES:
        raise _Refused(path, f"the mode of {path} must be one such as 0o644 or 0o755")
    return FileText(text, source, mode)


_KEYS: Final[Mapping[str, tuple[str, Callable[[str, object], Any]]]] = {
    "about": ("about", _sentence),
    "base": ("base", _name),
    "suites": ("suites", _matching(NAME, "the name of a Debian release")),
    "locales": ("locales", _matching(LOCALE, "a locale such as es_ES")),
    "packages": ("addition", _packages),
    "languages": ("addition", _table),
    "without": ("without", _packages),
    "suite": ("by_suite", _by_suite),
    "add": ("groups", _groups),
    "files": ("files", _files),
    "commands": ("commands", _words),
    "session": ("session", _sentence),
    "window_manager": ("window_manager", _sentence),
}
"""Key of the file -> attribute of the recipe and what reads the value."""
