"""Run with python -m qvdnode: the same as the qvdnode command."""

from qvdnode.cli.qvdnode.program import main

if __name__ == "__main__":
    main()
