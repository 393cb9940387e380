"""Revisions of one image as the whole farm knows it: versions, branches, tags, commits; pure.

    3              the version of that number
    test           a branch of the image, or else a tag
    1f3a...        a commit by 6 or more digits
    IMAGE...       as in revision.py
    ~N, @{N}       behind any of these: N commits before, N moves of the branch ago

Nothing at all is the branch main.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from qvdnode.image.core import revision
from qvdnode.image.core.refs import MAIN, Ref
from qvdnode.model.errors import Invalid, NotFound

_BEHIND: Final = "~@"


@dataclass(frozen=True, slots=True)
class FarmView:
    """What the farm knows of one image."""

    image: str
    versions: Mapping[int, str]
    """The commit of each version, as far as a node has told it."""
    heads: Mapping[str, str]
    """Branches, with their commits."""
    tags: Mapping[str, str]
    parents: Mapping[str, Sequence[str]]
    """Every commit that is known, with those before it."""
    moves: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    """Where branches were before each move, the newest move first."""

    def names(self) -> dict[str, list[str]]:
        """Versions, branches and tags as people write them, by the commit they lead to."""
        found: dict[str, list[str]] = {}
        for name, commit in sorted(self.heads.items()):
            found.setdefault(commit, []).append(Ref(self.image, name).short)
        for name, commit in sorted(self.tags.items()):
            found.setdefault(commit, []).append(Ref(self.image, name, tag=True).short)
        for number, commit in sorted(self.versions.items()):
            found.setdefault(commit, []).append(f"{self.image}:{number}")
        return found


def branch_of(text: str) -> str | None:
    """The branch whose log a revision asks for, None if it asks for none; raises Invalid."""
    if "@" not in text:
        return None
    name = text.partition("@")[0]
    return name.rpartition("/")[2] if "/" in name else name or MAIN


def resolve(view: FarmView, text: str) -> str:
    """The commit that a revision means; raises Invalid, NotFound."""
    wanted = revision.parse(_whole(view.image, text))
    name = _start(view, wanted, text)
    for _ in range(wanted.back):
        before = view.parents.get(name, ())
        if not before:
            raise NotFound(f"{text} goes back beyond the first commit that the farm knows.")
        name = before[0]
    return name


def _whole(image: str, text: str) -> str:
    """The text as one of revision.py, with the image in front."""
    if not text or text[0] in _BEHIND:
        return image + text
    head = text
    for mark in _BEHIND:
        head = head.partition(mark)[0]
    return f"{image}:{text}" if head.isdecimal() and len(head) < revision.DIGITS_MIN else text


def _start(view: FarmView, wanted: revision.Revision, text: str) -> str:
    ref = wanted.ref
    if ref.image == view.image:
        table = _tags(view) if ref.tag else view.heads
        found = table.get(ref.name)
    elif ref.tag or ref.name != MAIN:
        raise Invalid(f"{text!r} is of another image than {view.image}.", field="revision")
    else:
        ref = Ref(view.image, ref.image)
        found = view.heads.get(ref.name) or _tags(view).get(ref.name)
    if wanted.moves and found is not None:
        moves = view.moves.get(ref.name, ())
        if wanted.moves > len(moves):
            raise NotFound(f"{text} goes back beyond the log of {ref.short}.")
        found = moves[wanted.moves - 1]
    if found is None and wanted.digits is not None:
        matching = sorted(name for name in view.parents if name.startswith(wanted.digits))
        if len(matching) > 1:
            raise Invalid(f"{wanted.digits} is the start of {len(matching)} commits: write more")
        found = matching[0] if matching else None
    if found is None:
        raise NotFound(
            f"The farm knows no version, branch, tag or commit {text or MAIN!r} of {view.image}."
        )
    return found


def _tags(view: FarmView) -> dict[str, str]:
    return {**view.tags, **{str(number): name for number, name in view.versions.items()}}
