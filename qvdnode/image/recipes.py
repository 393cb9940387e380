"""Reads recipe files: those of the program, and an administrator's own."""

from dataclasses import replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from qvdnode.image.core.recipe import Recipe
from qvdnode.image.core.recipe_choice import Choice, choose
from qvdnode.image.core.recipe_text import FileText, RecipeText, parse
from qvdnode.model.errors import Invalid, NotFound

SUFFIX: Final = ".toml"
SESSION_FOLDER: Final = "usr/lib/qvd"
_PACKAGE: Final = files("qvdnode.image")
GUARD: Final = f"{SESSION_FOLDER}/nx-guard.so"
GUARD_SOURCE: Final = f"{SESSION_FOLDER}/nx-guard.c"
_LIBRARIES: Final = {
    GUARD: GUARD_SOURCE,
    f"{SESSION_FOLDER}/gtk4-input.so": f"{SESSION_FOLDER}/gtk4-input.c",
}
"""Preloaded: the one into nxagent, the other into the desktop's programs. Each is one C file."""
_HOOKS: Final = b"Programs here are run by the session script with its verb as their argument.\n"
AS_IS: Final = Choice()


def names() -> tuple[str, ...]:
    """The recipes that come with the program and make a desktop, in alphabetical order."""
    found = [item.name for item in (_PACKAGE / "desktops").iterdir()]
    stems = sorted(name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX))
    return tuple(stem for stem in stems if _shipped(stem).session is not None)


def by_name(name: str, choice: Choice = AS_IS) -> Recipe:
    """A recipe that comes with the program.

    Raises NotFound, naming those that there are, and Invalid when the choice does not fit.
    """
    if name not in names():
        raise NotFound(f"There is no recipe {name}; there is {', '.join(names())}.")
    return _whole(name, _shipped(name), {}, choice)


def icewm() -> Recipe:
    """The smallest desktop: IceWM, a terminal, a file manager and an editor."""
    return by_name("icewm")


def from_file(file: Path, choice: Choice = AS_IS) -> Recipe:
    """An administrator's own recipe, called like its file.

    Raises NotFound when there is no such file, Invalid when it is not a recipe, or does not fit.
    """
    own = parse(_read(file), str(file))
    beside = {
        path: ((file.parent / one.source).read_bytes(), one.mode)
        for path, one in own.files.items()
        if one.source is not None and _must_be_there(file, path, one.source)
    }
    return _whole(file.stem, own, beside, choice)


def asked_for(word: str, choice: Choice = AS_IS) -> Recipe:
    """Return the named recipe: a file if the name looks like a path, else one of ours."""
    if word.endswith(SUFFIX) or "/" in word:
        return from_file(Path(word), choice)
    return by_name(word, choice)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {file}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"The recipe {file} cannot be read: {error}.") from error


def _must_be_there(recipe: Path, path: str, source: str) -> bool:
    if not (recipe.parent / source).is_file():
        raise Invalid(f"{recipe}: {path} is to be made of {source}, which is not a file beside it.")
    return True


def _shipped(name: str) -> RecipeText:
    file = _PACKAGE / "desktops" / f"{name}{SUFFIX}"
    if not file.is_file():
        raise NotFound(f"There is no recipe {name} to base another on.")
    return parse(file.read_text(encoding="utf-8"), f"the recipe {name}")


def _whole(
    name: str, own: RecipeText, beside: dict[str, tuple[bytes, int]], choice: Choice
) -> Recipe:
    texts = [own]
    while (base := texts[0].base) is not None:
        texts.insert(0, _shipped(base))
    contents = session_files()
    for text in texts:
        contents |= {path: here for path, one in text.files.items() if (here := _inline(one))}
    made = choose(name, texts, {**contents, **beside}, choice)
    return replace(made, libraries=_LIBRARIES)


def _inline(one: FileText) -> tuple[bytes, int] | None:
    return None if one.text is None else (one.text.encode(), one.mode)


def session_files() -> dict[str, tuple[bytes, int]]:
    """What every image has: docs/protocol/session-script.md."""
    guest = _PACKAGE / "guest"
    contents = {f"{SESSION_FOLDER}/hooks.d/README": (_HOOKS, 0o644)}
    contents |= _folder(guest / "qvd", SESSION_FOLDER, 0o755)
    contents |= _folder(guest / "bin", "usr/local/bin", 0o755)
    for source in _LIBRARIES.values():
        contents[source] = ((guest / Path(source).name).read_bytes(), 0o644)
    return contents


def _folder(source: Traversable, target: str, mode: int) -> dict[str, tuple[bytes, int]]:
    return {
        f"{target}/{item.name}": (item.read_bytes(), mode)
        for item in source.iterdir()
        if item.is_file()
    }
