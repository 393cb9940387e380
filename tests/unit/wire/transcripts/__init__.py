"""Dialogues with the three families of clients, byte for byte, and their reader.

Lines: `C>` the client sends, `??` the path of the request that is now whole, `##` what its display
parameters mean, `!!` what the node does, `S>` what that must write, `N>` the client's NX stream.
"""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.transcript"))


@dataclass(frozen=True)
class Step:
    """Consecutive lines of one kind, joined; `!!`, `??` and `##` stand alone."""

    kind: str
    text: str

    @property
    def data(self) -> bytes:
        """The text as the bytes it stands for."""
        return self.text.encode("ascii").decode("unicode_escape").encode("latin-1")


def read(name: str) -> list[Step]:
    """The steps of a transcript."""
    steps: list[Step] = []
    for line in (FOLDER / f"{name}.transcript").read_text(encoding="ascii").splitlines():
        kind, _, text = line.partition(" ")
        if kind == "#":
            continue
        if steps and kind == steps[-1].kind and kind.endswith(">"):
            steps[-1] = Step(kind, steps[-1].text + text)
        else:
            steps.append(Step(kind, text))
    return steps
