"""Builds a desktop image with mmdebstrap from the host's own package sources.

The image contains nothing about the build host or the package mirror.
"""

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from qvdnode.host import mounts, process
from qvdnode.host.trusted_path import PathUse, require
from qvdnode.image.core import apt_sources
from qvdnode.image.core.recipe import (
    NEUTRAL_SOURCES,
    Recipe,
    build_argv,
    command_argv,
    is_complaint,
    library_argv,
    stage,
)
from qvdnode.model.errors import Conflict, HostFailed
from qvdnode.runtime.safe_files import rename_to_new

log = logging.getLogger(__name__)

APT: Final = Path("/etc/apt")
BUILD_LIMIT_S: Final = 1_800.0
COMMAND_LIMIT_S: Final = 300.0
COMPLAINTS: Final = 3
"""The first of them are reported: the last only say that something failed."""
COMPLAINT_LENGTH: Final = 200
STAGING_SUFFIX: Final = ".building"
_PROXIES: Final = ("http_proxy", "https_proxy", "no_proxy")
_EMPTIED: Final = ("etc/machine-id", "etc/hostname", "etc/resolv.conf")
_REMOVED: Final = ("var/lib/dbus/machine-id", "etc/apt/apt.conf.d/99mmdebstrap")
_CLEARED: Final = ("var/log", "var/lib/apt/lists", "var/cache/apt", "var/cache/debconf", "tmp")

BuildProgress = Callable[[int, str], None]
"""Called with the progress of the build: percent, and a sentence."""


async def build(recipe: Recipe, dest: Path, progress: BuildProgress) -> None:
    """Build the image's root file system at `dest`, which must not exist.

    Takes from 40 s to some minutes. Raises Conflict, HostFailed, also when another user controls
    the folder above, TimedOut; then nothing is left at `dest`.
    """
    try:
        staging = await asyncio.to_thread(_prepare, dest)
    except OSError as error:
        raise HostFailed(f"the image could not be built at {dest}: {error}") from error
    try:
        _require_programs(recipe)
        sources = await asyncio.to_thread(_host_sources, recipe.suite)
        await _mmdebstrap(recipe, staging, sources, progress)
        progress(97, "putting the session script in place")
        await asyncio.to_thread(_add_files, recipe, staging)
        await _add_libraries(recipe, staging)
        for command in recipe.commands:
            progress(98, f"running {command}")
            await process.run(command_argv(str(staging), command), limit_s=COMMAND_LIMIT_S)
        await asyncio.to_thread(_finish, recipe, staging, dest)
    except OSError as error:
        raise HostFailed(f"the image could not be built at {dest}: {error}") from error
    finally:
        await asyncio.to_thread(_remove, staging)
    progress(100, "image built")
    log.info("image_built", extra={"recipe": recipe.name, "folder": str(dest)})


def _require_programs(recipe: Recipe) -> None:
    commands = [["mmdebstrap"], *(library_argv(*pair) for pair in recipe.libraries.items())]
    for command in commands:
        if shutil.which(command[0]) is None:
            raise HostFailed(f"{command[0]} is not installed (qvdnode doctor lists it)")


def _prepare(dest: Path) -> Path:
    """Make a new folder beside `dest` to build in; another user cannot have prepared it."""
    if os.path.lexists(dest):
        raise Conflict(f"{dest} exists already: name a folder that does not.")
    require(dest.parent, PathUse.SHARED_FOLDER, make_mode=0o755)
    prefix = f".{dest.name}."
    for left in dest.parent.iterdir():
        chance = left.name.removeprefix(prefix).removesuffix(STAGING_SUFFIX)
        named_so = left.name == f"{prefix}{chance}{STAGING_SUFFIX}" and "." not in chance
        if named_so and left.lstat().st_uid == os.geteuid():  # of a build that was killed
            _remove(left)
    staging = Path(tempfile.mkdtemp(prefix=prefix, suffix=STAGING_SUFFIX, dir=dest.parent))
    staging.chmod(0o755)  # packages are fetched by an account of their own
    return staging


def _remove(staging: Path) -> None:
    """Delete the folder, but not what is mounted below it, such as the host's /dev/shm."""
    for point in mounts.under(staging):
        mounts.unmount(point)
    shutil.rmtree(staging, ignore_errors=True)


async def _mmdebstrap(
    recipe: Recipe, target: Path, sources: tuple[str, ...], progress: BuildProgress
) -> None:
    progress(0, f"building the image {recipe.name}")

    complaints: list[str] = []

    def heard(line: str) -> None:
        if is_complaint(line):
            complaints.append(line.strip()[:COMPLAINT_LENGTH])
        told = stage(line)
        if told is not None:
            progress(*told)

    # It mounts the host's /proc, /sys and /dev/shm into the image and leaves them there when it is
    # killed, so it gets mounts of its own, which go with its last process. What the host unmounts
    # meanwhile, such as the home of a guest that ends, goes there, too: its disk would stay in use.
    try:
        await process.follow(
            [
                "unshare",
                "--mount",
                "--propagation",
                "slave",
                "--",
                *build_argv(recipe, str(target), sources=sources),
            ],
            on_line=heard,
            env={name: os.environ[name] for name in _PROXIES if name in os.environ},
            limit_s=BUILD_LIMIT_S,
        )
    except HostFailed as error:
        raise HostFailed(
            f"mmdebstrap failed: {' / '.join(complaints[:COMPLAINTS]) or error}"
        ) from error


def _host_sources(suite: str) -> tuple[str, ...]:
    found = [APT / "sources.list"]
    if (APT / "sources.list.d").is_dir():
        found += sorted((APT / "sources.list.d").iterdir())
    texts = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in found
        if path.suffix in {".list", ".sources"} and path.is_file()
    ]
    return apt_sources.for_suite(texts, suite)


def _add_files(recipe: Recipe, root: Path) -> None:
    for path, (content, mode) in recipe.files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(mode)


async def _add_libraries(recipe: Recipe, root: Path) -> None:
    for path, source in recipe.libraries.items():
        await process.run(library_argv(str(root / path), str(root / source)))
        (root / path).chmod(0o644)


def _finish(recipe: Recipe, root: Path, dest: Path) -> None:
    _forget_origin(recipe.suite, root)
    root.chmod(0o755)
    os.sync()
    try:
        rename_to_new(root, dest)
    except FileExistsError as error:
        raise Conflict(f"{dest} exists by now: name a folder that does not.") from error


def _forget_origin(suite: str, root: Path) -> None:
    for name in _EMPTIED:
        (root / name).unlink(missing_ok=True)
        (root / name).write_text("", encoding="ascii")
    for name in _REMOVED:
        (root / name).unlink(missing_ok=True)
    for name in _CLEARED:
        _remove_files((root / name).rglob("*"))
    for extra in (root / "etc/apt/sources.list.d").glob("*"):
        extra.unlink()
    # A guest gets its devices from the driver; an image that brings some is refused at import.
    shutil.rmtree(root / "dev")
    (root / "dev").mkdir(mode=0o755)
    (root / "etc/apt/sources.list").write_text(
        NEUTRAL_SOURCES.format(suite=suite), encoding="ascii"
    )


def _remove_files(paths: Iterable[Path]) -> None:
    for path in list(paths):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
