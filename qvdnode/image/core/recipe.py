"""The recipe of an image, and the commands that build it; pure."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from qvdnode.image.core.recipe_text import LOCALE

NEUTRAL_SOURCES: Final = """\
# This image names no mirror. To install packages in it, name yours:
# deb MIRROR {suite} main
"""

REVISION: Final = 5
"""Increased when the builder makes a different image from the same recipe."""

_LEFT_OUT: Final = (
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/doc/*",
    "/usr/share/doc-base/*",
    "/usr/share/help/*",
    "/usr/share/gtk-doc/*",
    "/usr/share/lintian/*",
    "/usr/share/locale/*",
)
_KEPT: Final = ("/usr/share/doc/*/copyright", "/usr/share/locale/locale.alias")


_COMPLAINT: Final = re.compile(r"^(E|dpkg|[a-z-]+): (E: |error|.*\berror\b|Unable|Failed)")

# Packages of Java put links beside their manual pages, and fail where there is no folder for them.
_MANUALS: Final = 'mkdir -p "$1"/usr/share/man/man1'
# Each takes a second or two, and they share one archive, which each locks while it writes.
_LOCALEDEF: Final = (
    "printf '%s\\n' {names} | xargs -P 2 -I NAME chroot \"$1\" localedef -i NAME -c -f UTF-8"
    " -A /usr/share/locale/locale.alias NAME.UTF-8"
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A desktop image by name: Debian suite, packages, locales, files and libraries of our own."""

    name: str
    suite: str
    packages: tuple[str, ...]
    locales: tuple[str, ...]
    files: Mapping[str, tuple[bytes, int]]
    """Path in the image, without a leading slash -> content and mode."""
    libraries: Mapping[str, str] = field(default_factory=dict)
    """Path in the image -> that of its C source, one of `files`."""
    commands: tuple[str, ...] = ()
    """Shell commands run in the image when all else is in place."""

    def digest(self) -> str:
        """Twelve hex digits that change whenever the image would."""
        state = hashlib.sha256(repr((REVISION, self.suite, self.packages, self.locales)).encode())
        state.update(repr(build_argv(self, "", sources=())).encode())
        for path in sorted(self.files):
            state.update(repr((path, self.files[path])).encode())
        for path in sorted(self.libraries):
            state.update(repr((path, library_argv(path, self.libraries[path]))).encode())
        state.update(repr(self.commands).encode())
        return state.hexdigest()[:12]


def build_argv(recipe: Recipe, target: str, *, sources: Sequence[str]) -> list[str]:
    """The mmdebstrap command line; without `sources` mmdebstrap's own default is used."""
    words = ["mmdebstrap", "--variant=minbase", "--format=directory"]
    words.append(f"--include={','.join(recipe.packages)}")
    words += [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
    words += [f"--dpkgopt=path-include={pattern}" for pattern in _KEPT]
    words.append(f"--essential-hook={_MANUALS}")
    for locale in recipe.locales:
        if not LOCALE.fullmatch(locale):
            raise ValueError(f"{locale!r} is not a locale")
        language = locale.split("_", maxsplit=1)[0]
        words.append(f"--dpkgopt=path-include=/usr/share/locale/{language}*")
    if recipe.locales:
        words.append(f"--customize-hook={_LOCALEDEF.format(names=' '.join(recipe.locales))}")
    return [*words, recipe.suite, target, *sources]


def command_argv(root: str, command: str) -> list[str]:
    """The command line that runs one of a recipe's commands in the image, its root.

    Whatever it mounts, or starts and leaves, goes with it.
    """
    apart = [
        "unshare",
        "--mount",
        "--propagation",
        "slave",
        "--pid",
        "--fork",
        "--kill-child",
        "--",
    ]
    return [*apart, "chroot", root, "/bin/sh", "-ec", command]


def library_argv(target: str, source: str) -> list[str]:
    """The command line that makes a library of C source that needs no other, not even libc's."""
    return ["tcc", "-shared", "-nostdlib", "-o", target, source]


_STAGES: Final = (
    ("running apt-get update", 5, "reading package lists"),
    ("downloading packages", 12, "downloading packages"),
    ("extracting archives", 30, "unpacking the minimal system"),
    ("installing essential", 38, "installing the minimal system"),
    ("installing remaining", 48, "installing the desktop"),
    ("running --customize-hook", 85, "generating locales"),
    ("cleaning package lists", 95, "cleaning up"),
)


def is_complaint(line: str) -> bool:
    """Whether a line of mmdebstrap's output is one of apt, dpkg or a package that says why not."""
    return _COMPLAINT.search(line) is not None


def stage(line: str) -> tuple[int, str] | None:
    """Return the progress that a line of mmdebstrap's output shows: percent and a sentence."""
    for mark, percent, sentence in _STAGES:
        if mark in line:
            return percent, sentence
    return None
