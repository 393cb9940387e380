"""How far the build of an image is, for people: each sentence once."""

from collections.abc import Callable

from qvdnode.image.builder import BuildProgress


def each_once(tell_line: Callable[[str], None]) -> BuildProgress:
    """Tells how far a build is, each sentence once."""
    last = ""

    def told(percent: int, sentence: str) -> None:
        nonlocal last
        if sentence != last:
            last = sentence
            tell_line(f"{percent:3} %  {sentence}")

    return told
