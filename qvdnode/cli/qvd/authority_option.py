"""The option that names an authority to trust, the same for all commands that dial a node."""

from pathlib import Path
from typing import Annotated

import typer

CaFile = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        envvar="QVD_CA",
        show_envvar=False,
        help="PEM file of an authority to trust besides the system's; else that of $QVD_CA.",
    ),
]
