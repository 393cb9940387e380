"""The child process that unpacks an image, so that the node's process is not blocked.

    python -m qvdnode.image.unpack ROOT MAX_ENTRIES MAX_BYTES FLOOR_MIB STORE IMAGE NOTE
        [--zstd] [--guard=FILE] [--parent=COMMIT]

With `--parent` the new commit comes after that one. With `--guard` our session files are put in,
that built library among them. What was unpacked and checked becomes a commit of IMAGE in STORE;
the folder above ROOT then has its name in a file.

Reads a tar on stdin. Says on stdout, a JSON object a line: `{"bytes": N}` while it goes on, then
`{"done": N}` or `{"refused": SENTENCE}` or `{"failed": SENTENCE}`.
"""

import errno
import json
import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final, cast

from qvdnode.host import disk_space
from qvdnode.host.descriptors import close_to_children
from qvdnode.image import import_commit, session_files, tar_entries, tree_check
from qvdnode.image.core.entry import Entry, Tally
from qvdnode.image.import_commit import Destination
from qvdnode.image.tree_writer import TreeWriter
from qvdnode.model.errors import BadImage, FarmError, HostFailed

MEMORY_MAX: Final = 1024 * 1024 * 1024
"""For two million names, and a decompressor."""
SENTENCE_MAX: Final = 2_000
"""Names in it come from the archive."""
STEP_BYTES: Final = 16 * 1024 * 1024
PARENT: Final = "--parent="
_NICE: Final = 10


def main(arguments: list[str]) -> int:
    """Unpack as the arguments say; the last line of stdout tells how it went."""
    root, max_entries, max_bytes, floor_mib, store, image, note, *rest = arguments
    os.nice(_NICE)
    # Modes are set as they are in the image.
    os.umask(0o077)
    # A hostile archive must not use up the node's memory.
    unlimited = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, unlimited[1]))
    tally = Tally(max_entries=int(max_entries), max_bytes=int(max_bytes))
    try:
        _unpack(Path(root), _source(rest), tally, int(floor_mib), _guard(rest))
        # From here on nothing comes from outside, and the number of files is limited.
        resource.setrlimit(resource.RLIMIT_AS, unlimited)
        import_commit.commit(
            Path(root).parent,
            Destination(Path(store), image, note, _parent(rest)),
            _steps(tally.size_bytes),
        )
    except BadImage as error:
        _tell(refused=str(error))
    except tar_entries.BROKEN as error:
        _tell(refused=f"the archive is broken or cut off: {error}")
    except (MemoryError, RecursionError):
        _tell(refused="the archive cannot be read: its headers are nested or large beyond measure")
    except FarmError as error:
        _tell(failed=str(error))
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            _tell(refused=f"a name is too long: {error.filename}")
        else:
            _tell(failed=f"the image cannot be written: {error.strerror}")
    else:
        _tell(done=tally.size_bytes)
        return 0
    return 1


def _source(rest: list[str]) -> Iterator[tuple[Entry, IO[bytes] | None]]:
    # Unbuffered: the reader on top buffers itself.
    standard = cast(IO[bytes], os.fdopen(_unpacked_stdin(rest), "rb", buffering=0))
    return tar_entries.entries(standard)


def _guard(rest: list[str]) -> Path | None:
    option = session_files.OPTION
    found = [word.removeprefix(option) for word in rest if word.startswith(option)]
    return Path(found[0]) if found else None


def _parent(rest: list[str]) -> str | None:
    found = [word.removeprefix(PARENT) for word in rest if word.startswith(PARENT)]
    return found[0] if found else None


def _unpacked_stdin(rest: list[str]) -> int:
    if "--zstd" not in rest:
        return sys.stdin.fileno()
    reading, writing = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, writing, 1)]
    argv = ["zstd", "-dcq"]
    close_to_children()
    os.posix_spawnp("zstd", argv, os.environ, file_actions=actions)  # allowed: this is a child, too
    os.close(writing)
    return reading


def _unpack(
    root: Path,
    source: Iterator[tuple[Entry, IO[bytes] | None]],
    tally: Tally,
    floor_mib: int,
    guard: Path | None,
) -> None:
    told = checked = 0
    with TreeWriter(root) as writer:
        for entry, content in source:
            path = tally.take(entry)
            if path is not None:
                writer.write(path, entry, content)
            if tally.size_bytes - told >= STEP_BYTES:
                told = tally.size_bytes
                _tell(bytes=told)
            if tally.space_bytes - checked >= STEP_BYTES:
                checked = tally.space_bytes
                _check_floor(root, floor_mib)
        if guard is not None:
            session_files.add(root, writer, guard.read_bytes())
        writer.finish()
    tree_check.check(root)


def _check_floor(root: Path, floor_mib: int) -> None:
    if disk_space.free_mib(root) < floor_mib:
        raise HostFailed(f"the disk is nearly full: {floor_mib} MiB are kept free for desktops")


def _steps(total: int) -> Callable[[int], None]:
    """Tell now and then that the commit goes on: the bytes unpacked, which stay as they are."""
    told = 0

    def step(done: int) -> None:
        nonlocal told
        if done - told >= STEP_BYTES:
            told = done
            _tell(bytes=total)

    return step


def _tell(**fact: int | str) -> None:
    cut = {
        name: value[:SENTENCE_MAX] if isinstance(value, str) else value
        for name, value in fact.items()
    }
    sys.stdout.write(json.dumps(cut) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
