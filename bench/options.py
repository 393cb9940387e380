"""The options that every bench takes."""

import argparse
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line."""

    rounds: int
    writes: bool
    """Whether the figures are written to bench/results; they are always printed."""

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Self:
        """The options among the arguments of a `parser`."""
        usual = arguments.quick_rounds if arguments.quick else arguments.full_rounds
        return cls(arguments.rounds or usual, not (arguments.quick or arguments.dry))


def parser(
    description: str | None, *, rounds: int, quick_rounds: int = 1
) -> argparse.ArgumentParser:
    """A parser with the options of every bench; `rounds` is how many a full run has."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.set_defaults(full_rounds=rounds, quick_rounds=quick_rounds)
    made.add_argument("--rounds", type=_rounds, metavar="N", help=f"how many rounds ({rounds})")
    made.add_argument(
        "--quick", action="store_true", help=f"only {quick_rounds} rounds; writes nothing"
    )
    made.add_argument("--dry", action="store_true", help="print the figures, write nothing")
    return made


def parsed(description: str | None, *, rounds: int, quick_rounds: int = 1) -> Options:
    """The options of a bench that has no others; exits on a wrong one and on --help."""
    return Options.of(parser(description, rounds=rounds, quick_rounds=quick_rounds).parse_args())


def _rounds(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError("at least one round")
    return number
