"""Revisions as people write them, such as `icewm`, `icewm:3`, `icewm/test~2`; pure.

IMAGE            the branch main of an image
IMAGE/BRANCH     another branch
IMAGE:TAG        a tag; each version's number is one
1f3a...          a commit by 6 or more digits of its name
REV~N            N commits before it, by first parents
BRANCH@{N}       where a branch was N moves ago
"""

import re
from dataclasses import dataclass
from typing import Final

from qvdnode.image.core.refs import MAIN, Ref
from qvdnode.model.errors import Invalid

DIGITS_MIN: Final = 6
_REVISION: Final = re.compile(
    r"(?P<image>[^/:~@{}\s]+)(?:/(?P<branch>[^/:~@{}\s]+)|:(?P<tag>[^/:~@{}\s]+))?"
    r"(?:@\{(?P<moves>[0-9]{1,6})\})?(?:~(?P<back>[0-9]{0,6}))?"
)
_HEX: Final = re.compile(rf"[0-9a-f]{{{DIGITS_MIN},64}}")


@dataclass(frozen=True, slots=True)
class Revision:
    """A parsed revision."""

    ref: Ref
    digits: str | None
    """The digits of a commit, where the text can be that, too; a branch of the name goes first."""
    moves: int
    """How many moves ago, by the log of the ref."""
    back: int
    """How many parents back."""


def parse(text: str) -> Revision:
    """What a revision means; raises Invalid."""
    found = _REVISION.fullmatch(text)
    if found is None:
        raise Invalid(
            f"{text!r} is not a revision: write IMAGE, IMAGE/BRANCH, IMAGE:TAG or a commit, and ~N"
            " behind it for N commits before",
            field="revision",
        )
    image, branch, tag = found["image"], found["branch"], found["tag"]
    plain = branch is None and tag is None and found["moves"] is None
    return Revision(
        ref=Ref(image, branch or tag or MAIN, tag=tag is not None),
        digits=image if plain and _HEX.fullmatch(image) else None,
        moves=int(found["moves"] or 0),
        back=0 if found["back"] is None else int(found["back"] or 1),
    )


def parse_branch(text: str) -> Ref:
    """The branch IMAGE or IMAGE/BRANCH; raises Invalid."""
    found = parse(text)
    if found.ref.tag or found.moves or found.back or "~" in text or "@" in text:
        raise Invalid(f"{text!r} is not a branch: write IMAGE or IMAGE/BRANCH", field="branch")
    return found.ref


def parse_ref(text: str) -> Ref:
    """The branch or tag IMAGE, IMAGE/BRANCH or IMAGE:TAG; raises Invalid."""
    return parse_tag(text) if ":" in text else parse_branch(text)


def parse_tag(text: str) -> Ref:
    """The tag IMAGE:TAG; raises Invalid."""
    found = parse(text)
    if not found.ref.tag or "~" in text or "@" in text:
        raise Invalid(f"{text!r} is not a tag: write IMAGE:TAG", field="tag")
    return found.ref
