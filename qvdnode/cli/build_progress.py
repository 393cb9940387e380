"""Shows the progress of an image build, each sentence once."""

from collections.abc import Callable

from qvdnode.image.builder import BuildProgress


def each_once(tell_line: Callable[[str], None]) -> BuildProgress:
    """Return a progress callback that writes each sentence once."""
    last = ""

    def told(percent: int, sentence: str) -> None:
        nonlocal last
        if sentence != last:
            last = sentence
            tell_line(f"{percent:3} %  {sentence}")

    return told
