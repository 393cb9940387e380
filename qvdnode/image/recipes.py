"""The recipes that come with the program, read from the package's `guest` folder."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from qvdnode.image.core.recipe import Recipe, parse_packages
from qvdnode.model.errors import NotFound

SUITE: Final = "bookworm"
LOCALES: Final = ("de_DE", "en_US", "es_ES", "fr_FR")
SESSION_FOLDER: Final = "usr/lib/qvd"
_GUARD: Final = f"{SESSION_FOLDER}/nx-guard.so"
_GUARD_SOURCE: Final = f"{SESSION_FOLDER}/nx-guard.c"


def icewm() -> Recipe:
    """A small desktop: IceWM, a terminal, a file manager and an editor."""
    guest = files("qvdnode.image") / "guest"
    packages = (guest / "icewm" / "packages").read_text(encoding="utf-8")
    contents = {f"{SESSION_FOLDER}/hooks.d/README": (_HOOKS, 0o644)}
    contents |= _folder(guest / "qvd", SESSION_FOLDER, 0o755)
    contents[_GUARD_SOURCE] = ((guest / "nx-guard.c").read_bytes(), 0o644)
    contents |= _folder(guest / "icewm", "etc/X11/icewm", 0o644)
    del contents["etc/X11/icewm/packages"]
    libraries = {_GUARD: _GUARD_SOURCE}
    return Recipe("icewm", SUITE, parse_packages(packages), LOCALES, contents, libraries)


_RECIPES: Final = {"icewm": icewm}


def by_name(name: str) -> Recipe:
    """The recipe of that name; raises NotFound, naming those that there are."""
    if name not in _RECIPES:
        raise NotFound(f"There is no recipe {name}; there is {', '.join(_RECIPES)}.")
    return _RECIPES[name]()


_HOOKS: Final = b"Programs here are run by the session script with its verb as their argument.\n"


def _folder(source: Traversable, target: str, mode: int) -> dict[str, tuple[bytes, int]]:
    return {
        f"{target}/{item.name}": (item.read_bytes(), mode)
        for item in source.iterdir()
        if item.is_file()
    }
