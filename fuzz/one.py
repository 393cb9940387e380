"""Fuzzes one target with atheris: `python -m fuzz.one fuzz.clients heads [libFuzzer flags]`."""

import importlib
import sys

import atheris


def main() -> None:
    """Fuzz; libFuzzer ends the process, with an error when a promise was broken."""
    module, name, *flags = sys.argv[1:]
    # Of the targets' modules only this one: to instrument all of them takes longer than to fuzz.
    with atheris.instrument_imports(include=["qvdnode", "fuzz"]):
        targets = importlib.import_module(module).TARGETS
    atheris.Setup([sys.argv[0], *flags], targets[name].check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
