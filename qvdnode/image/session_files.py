"""Puts our session files into a root that was made without them."""

import io
from pathlib import Path
from typing import Final

from qvdnode.host import process
from qvdnode.image import recipes
from qvdnode.image.contents import ImageRoot
from qvdnode.image.core import session_needs
from qvdnode.image.core.entry import Entry, EntryKind
from qvdnode.image.core.recipe import library_argv
from qvdnode.image.core.recipe_choice import DESKTOP_SETTINGS
from qvdnode.image.tree_writer import TreeWriter
from qvdnode.model.errors import BadImage, HostFailed

BUILT: Final = "nx-guard.so"
SOURCE: Final = "nx-guard.c"
COMPILER: Final = "tcc"
OPTION: Final = "--guard="
"""The unpacking child's option that says where the built library is."""


async def build_guard(folder: Path) -> Path:
    """Build the library that is preloaded into nxagent, in this folder; raises HostFailed."""
    content, _mode = recipes.session_files()[recipes.GUARD_SOURCE]
    source, built = folder / SOURCE, folder / BUILT
    source.write_bytes(content)
    try:
        await process.run(library_argv(str(built), str(source)))
    except HostFailed as error:
        raise HostFailed(
            f"the session files need a library that could not be built; is {COMPILER} installed on"
            f" the node? {error}"
        ) from error
    return built


def remove_guard(folder: Path) -> None:
    """Remove what `build_guard` made; safe to repeat. Blocks."""
    for name in (SOURCE, BUILT):
        (folder / name).unlink(missing_ok=True)


def add(root: Path, writer: TreeWriter, guard: bytes) -> None:
    """Write our session files; raises BadImage with what the system lacks for them. Blocks."""
    with ImageRoot(root) as image:
        refusal = session_needs.refusal(session_needs.lacking(image.has))
        if refusal is not None:
            raise BadImage(refusal)
        files = {**recipes.session_files(), recipes.GUARD: (guard, 0o644)}
        if not image.has_file(DESKTOP_SETTINGS):
            files[DESKTOP_SETTINGS] = (session_needs.desktop_settings(image.has), 0o644)
    modified = root.stat().st_mtime
    for path, (content, mode) in sorted(files.items()):
        entry = Entry(path, EntryKind.FILE, mode, 0, 0, modified, len(content))
        writer.write(tuple(path.split("/")), entry, io.BytesIO(content))
