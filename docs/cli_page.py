"""Every command of both programs, drawn from what their help says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

from typer.main import get_command

from docs.source_notes import attribute_docs, one_line
from qvdnode.cli.examples import HEADING
from qvdnode.cli.exit_codes import ExitCode
from qvdnode.cli.qvd.program import app as qvd_app
from qvdnode.cli.qvdnode.program import app as qvdnode_app

HEAD: Final = """\
# Commands

`qvdnode` runs on a host of the farm, as root; `qvd` runs anywhere: for administrators over
[REST](rest.md), for users over the QVD protocol. `--help` after any command says what stands here;
`--version` tells the version, `--install-completion` sets up completion for your shell.

- Things are called by number or by name: a tenant, an image or a token by its name, a user as
  `LOGIN[@TENANT]`, a flavour as `NAME[@TENANT]`, a VM as `NAME` where only one has it, else
  `LOGIN[@TENANT]/NAME`. Without a tenant, `default` is meant.
- Tables are for people: names, local times, sizes with units; what a narrow terminal has no
  room for is left out, and in a pipe each row is one line, whole.
  `--json` is for programs: what the API answered, exact and whole, or `{"done": "..."}` where it
  answered nothing.
- What is asked for goes to stdout; questions, progress and errors go to stderr.
- Passwords and tokens come from a prompt, from stdin or from a file, never from the command line
  (but for the demo's). Deleting asks first, unless `--yes`.

## Exit codes

The same for every command.
"""
Command: TypeAlias = Any
"""typer keeps the types of its commands and their parameters to itself."""
Parameter: TypeAlias = Any
METAVARS: Final[dict[object, str]] = {int: "N", float: "N", Path: "FILE"}


def cli_page() -> str:
    """All commands with arguments, options and examples."""
    parts = [HEAD, "| code | meaning |", "|---|---|"]
    explained = dict(attribute_docs(ExitCode))
    parts += [f"| {code.value} | {explained[code.name]} |" for code in ExitCode]
    for app in (qvdnode_app, qvd_app):
        program = get_command(app)
        parts += ["", f"## {program.name}", "", one_line(program.help)]
        parts += command_lines(program, str(program.name))
    return "\n".join([*parts, ""])


def command_lines(command: Command, words: str) -> Iterator[str]:
    """One command, or all those of a group."""
    if hasattr(command, "commands"):
        for name, child in command.commands.items():
            yield from command_lines(child, f"{words} {name}")
        return
    arguments = [item for item in command.params if not item.opts[0].startswith("-")]
    options = [item for item in command.params if item.opts[0].startswith("-")]
    usage = " ".join([words, *(item.name.upper() for item in arguments)])
    yield from ("", f"### {words}", "", one_line(command.help), "")
    yield from ("```", usage + (" [OPTIONS]" if options else ""), "```", "")
    if command.params:
        yield from ("| | meaning |", "|---|---|")
    for item in arguments:
        yield f"| `{item.name.upper()}` | {one_line(item.help)} |"
    for item in options:
        yield f"| {option_words(item)} | {option_meaning(item)} |"
    yield from ("", "```sh")
    yield from (line for line in command.epilog.split("\n\n") if line != HEADING)
    yield "```"


def option_words(option: Parameter) -> str:
    """How the option is written, with what follows on it."""
    written = ", ".join(f"`{word}`" for word in (*option.opts, *option.secondary_opts))
    return written if option.is_flag else f"{written[:-1]} {metavar(option)}`"


def option_meaning(option: Parameter) -> str:
    """Its help, and what is taken without it."""
    said = one_line(option.help)
    if option.required:
        return f"{said} Must be given."
    shown = option.default if not option.is_flag and option.default is not None else None
    return said if shown is None else f"{said} Default: `{shown}`."


def metavar(option: Parameter) -> str:
    """What stands for the value."""
    kind = option.type_descriptor.annotation
    return option.metavar or METAVARS.get(kind, "TEXT")
