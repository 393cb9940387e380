"""Fuzzes one target with atheris: `python -m fuzz.one NAME [libFuzzer flags]`."""

import sys

import atheris

with atheris.instrument_imports(include=["qvdnode", "fuzz"]):
    from fuzz.targets import TARGETS


def main() -> None:
    """Fuzz; libFuzzer ends the process, with an error when a promise was broken."""
    name = sys.argv[1]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[name].check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
