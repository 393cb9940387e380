"""Branches and tags of a store, changed by compare-and-swap, with a log. Everything blocks."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qvdnode.image.core import refs, revision
from qvdnode.image.core.commit import SHORT, is_name
from qvdnode.image.core.refs import Move, Ref
from qvdnode.image.store.places import locked
from qvdnode.image.store.repository import Repository, told
from qvdnode.model.errors import BadImage, Conflict, Invalid, NotFound

Now = Callable[[], int]
"""Seconds since 1970."""


class Branches:
    """The refs of one store."""

    def __init__(self, store: Repository, now: Now) -> None:
        self._store = store
        self.now = now
        """The time."""

    def get(self, ref: Ref) -> str | None:
        """The commit a ref points to, or None; raises BadImage when its file is damaged."""
        try:
            text = self._path(ref).read_text(encoding="ascii", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not text.endswith("\n") or not is_name(text[:-1]):
            raise BadImage(f"{ref.path} is damaged: it holds no name of a commit")
        return text[:-1]

    def all(self) -> dict[Ref, str]:
        """All refs by name, with their commits; a damaged one is left out (`damaged` has it)."""
        found: dict[Ref, str] = {}
        for ref in self._listed():
            with suppress(BadImage):
                name = self.get(ref)
                if name is not None:
                    found[ref] = name
        return found

    def damaged(self) -> list[str]:
        """What is wrong with the files of refs, as sentences."""
        found = []
        for ref in self._listed():
            try:
                self.get(ref)
            except BadImage as error:
                found.append(str(error))
        return found

    def move(self, ref: Ref, *, old: str | None, new: str | None, who: str, why: str) -> None:
        """Point a ref from `old`, None for not there, to `new`, None to delete it.

        Raises Conflict when it points elsewhere by now or is a tag that exists, HostFailed.
        """
        with told(f"{ref.path} cannot be changed"):
            self._store.prepare()
            with self._lock():
                self._move(ref, Move(ref.path, old, new, who, why, self.now()))

    def advance(self, ref: Ref, new: str, *, who: str, why: str) -> None:
        """Point a ref to `new`, wherever it points now."""
        with told(f"{ref.path} cannot be changed"):
            self._store.prepare()
            with self._lock():
                self._move(ref, Move(ref.path, self.get(ref), new, who, why, self.now()))

    def drop_image(self, image: str, *, who: str, why: str) -> None:
        """Delete all refs of an image."""
        for ref, name in self.all().items():
            if ref.image == image:
                self.move(ref, old=name, new=None, who=who, why=why)

    def moves(self, ref: Ref) -> list[Move]:
        """The log of one ref, newest first: the moves that took place."""
        listed = [move for move in self._logged() if move.ref == ref.path]
        return refs.effective(listed, self.get(ref))

    def resolve(self, text: str) -> str:
        """The name of the commit that a revision means; raises Invalid, NotFound."""
        wanted = revision.parse(text)
        name = self._start(wanted, text)
        for _ in range(wanted.back):
            parents = self._store.commit(name).parents
            if not parents:
                raise NotFound(f"{text} goes back beyond the first commit.")
            name = parents[0]
        return name

    def _start(self, wanted: revision.Revision, text: str) -> str:
        name = self.get(wanted.ref)
        if wanted.moves and name is not None:
            moves = self.moves(wanted.ref)
            if wanted.moves > len(moves):
                raise NotFound(f"{text} goes back beyond the log of {wanted.ref.short}.")
            name = moves[wanted.moves - 1].old
        if name is None and wanted.digits is not None:
            found = self._store.matching(wanted.digits)
            if len(found) > 1:
                raise Invalid(f"{wanted.digits} is the start of {len(found)} commits: write more")
            name = found[0] if found else None
        if name is None:
            raise NotFound(f"There is no image, branch, tag or commit {text} in this store.")
        return name

    def _move(self, ref: Ref, move: Move) -> None:
        current = self.get(ref)
        if move.old is None and current is not None:
            raise Conflict(f"{ref.short} exists already, at {current[:SHORT]}.")
        if current != move.old:
            now = "does not exist" if current is None else f"points to {current[:SHORT]}"
            raise Conflict(f"{ref.short} {now} by now: somebody else moved it; look again.")
        if ref.tag and current is not None and move.new is not None:
            raise Conflict(f"The tag {ref.short} exists, and tags never move.")
        if move.new is not None:
            self._store.commit(move.new)
        files, path = self._store.files, self._path(ref)
        files.append(self._store.places.reflog, refs.encode_move(move))
        if move.new is None:
            files.unlink(path)
        else:
            files.make_folder(path.parent)
            draft = self._store.places.tmp / secrets.token_hex(16)
            try:
                files.create(draft, f"{move.new}\n".encode("ascii"))
                files.rename(draft, path)
            except OSError:
                files.unlink(draft)
                raise
        files.sync(path.parent)

    def logged_since(self, at: int) -> list[Move]:
        """All moves since a time, of refs that still exist: what may be gone back to."""
        there = {ref.path for ref in self._listed()}
        return [move for move in self._logged() if move.at >= at and move.ref in there]

    def _logged(self) -> Iterator[Move]:
        try:
            data = self._store.places.reflog.read_bytes()
        except FileNotFoundError:
            return
        for line in data.split(b"\n"):
            # A line that a crash left incomplete names a move that did not take place.
            with suppress(BadImage):
                if line:
                    yield refs.decode_move(line)

    def _listed(self) -> list[Ref]:
        root = self._store.places.refs
        found = []
        for path in sorted(root.glob("*/*/*")):
            with suppress(Invalid):
                found.append(refs.parse_path(str(path.relative_to(root))))
        return found

    def _path(self, ref: Ref) -> Path:
        return self._store.places.refs / ref.path

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with locked(self._store.places.root / "refs.lock", exclusive=True):
            yield
