"""Merges commits of one store, and undoes one of them. Everything blocks."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from qvdnode.image.core.commit import SHORT
from qvdnode.image.core.commit_merge import Contested, Merged, merge_base, merge_trees
from qvdnode.image.core.manifest import INLINE_MAX, Kind, Node, Tree, escape
from qvdnode.image.core.refs import Ref
from qvdnode.image.store.branches import Branches
from qvdnode.image.store.commit_room import require_room
from qvdnode.image.store.repository import About, Content, Repository, told
from qvdnode.model.errors import Conflict, Invalid, NotFound
from qvdnode.model.plurals import counted

NAMED: Final = 5
"""Contested paths that an error names."""


@dataclass(frozen=True, slots=True)
class MergeWish:
    """Who merges, why, and what is taken where both sides changed a path."""

    author: str
    message: str = ""
    take: str = ""
    """`ours`, `theirs`, or empty to stop."""


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What became of a branch."""

    commit: str
    kind: str
    """`merged`, `forward` where the branch only moved, `nothing` where it had all already."""
    contested: tuple[Contested, ...] = ()
    """What was settled by `take`."""


class Merging:
    """Merges in one store, above a floor of free space that is left for desktops."""

    def __init__(self, store: Repository, branches: Branches, floor_mib: int) -> None:
        self._store = store
        self._branches = branches
        self._floor_mib = floor_mib

    def merge(self, branch: Ref, revision: str, wish: MergeWish) -> MergeResult:
        """Bring the changes of another commit into a branch.

        Raises Conflict where both changed a path and `take` is empty, and when somebody else moved
        the branch; Invalid, NotFound, BadImage, NodeFull, HostFailed.
        """
        ours, theirs = self._head(branch), self._branches.resolve(revision)
        base = merge_base(ours, theirs, self._parents)
        if base is None:
            raise Conflict(f"{branch.short} and {revision} have no commit in common on this node.")
        if base == theirs:
            return MergeResult(ours, "nothing")
        why = wish.message or f"merge {revision}"
        if base == ours:
            self._branches.move(branch, old=ours, new=theirs, who=wish.author, why=why)
            return MergeResult(theirs, "forward")
        trees = (self._store.tree(base), self._store.tree(ours), self._store.tree(theirs))
        about = self._about(wish.author, why, "merge", (ours, theirs))
        return self._publish(branch, trees, about, wish.take)

    def revert(self, branch: Ref, revision: str, wish: MergeWish) -> MergeResult:
        """Undo in a branch what one commit changed; raises as `merge`."""
        head, undone = self._head(branch), self._branches.resolve(revision)
        parents = self._store.commit(undone).parents
        if not parents:
            raise Invalid(f"{revision} is the first commit: there is nothing before it.")
        trees = (self._store.tree(undone), self._store.tree(head), self._store.tree(parents[0]))
        why = wish.message or f"revert {undone[:SHORT]}"
        about = self._about(wish.author, why, f"revert of {undone}", (head,))
        return self._publish(branch, trees, about, wish.take)

    def _head(self, branch: Ref) -> str:
        name = self._branches.get(branch)
        if name is None:
            raise NotFound(f"There is no branch {branch.short}.")
        return name

    def _parents(self, name: str) -> tuple[str, ...]:
        try:
            return self._store.commit(name).parents
        except NotFound:
            return ()  # a node that fetched a commit need not have those before it

    def _about(self, author: str, why: str, source: str, parents: tuple[str, ...]) -> About:
        return About(author, self._branches.now(), why, source, parents)

    def _publish(
        self, branch: Ref, trees: tuple[Tree, Tree, Tree], about: About, take: str
    ) -> MergeResult:
        base, ours, theirs = trees
        if take == "theirs":
            ours, theirs = theirs, ours
        made = merge_trees(base, ours, theirs, self._content)
        _require_settled(made.contested, take)
        old = about.parents[0]
        if made.tree == trees[1] and not made.written and len(about.parents) == 1:
            return MergeResult(old, "nothing", made.contested)

        def point(name: str) -> None:
            self._branches.move(branch, old=old, new=name, who=about.author, why=about.message)

        return MergeResult(self._write(made, about, point), "merged", made.contested)

    def _write(self, made: Merged, about: About, point: Callable[[str], None]) -> str:
        self._store.prepare()
        require_room(self._store.places.root, self._floor_mib)
        with told("the commit cannot be made"):
            work = self._store.work_folder()
            try:
                tree, fresh = dict(made.tree), dict[str, Path]()
                for path, content in made.written.items():
                    if tree[path].kind != Kind.HARDLINK:
                        tree[path] = self._with_content(tree[path], content, fresh, work)
                return self._store.publish(Content(tree, fresh), about, point)
            finally:
                self._store.files.remove_tree(work)

    def _content(self, node: Node) -> bytes:
        if node.kind == Kind.FILE:
            return self._store.content(node.payload.decode())
        return node.payload

    def _with_content(self, node: Node, content: bytes, fresh: dict[str, Path], work: Path) -> Node:
        if len(content) <= INLINE_MAX:
            return replace(node, kind=Kind.INLINE, size=len(content), payload=content)
        digest = hashlib.sha256(content).hexdigest()
        if digest not in fresh:
            fresh[digest] = work / digest
            with self._store.files.open_new(fresh[digest]) as stream:
                stream.write(content)
        return replace(node, kind=Kind.FILE, size=len(content), payload=digest.encode())


def _require_settled(contested: tuple[Contested, ...], take: str) -> None:
    open_ = [one for one in contested if not (take and one.settles)]
    if not open_:
        return
    named = "; ".join(f"{escape(one.path)} ({one.why})" for one in open_[:NAMED])
    more = f", and {len(open_) - NAMED} more" if len(open_) > NAMED else ""
    advice = (
        "take one side with -X ours or -X theirs"
        if all(one.settles for one in open_)
        else "make the type of file the same on one side first"
    )
    raise Conflict(f"Both sides changed {counted(len(open_), 'path')}: {named}{more}. {advice}.")
