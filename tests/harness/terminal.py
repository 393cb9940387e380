"""`qvd` or `qvdnode` at a terminal of its own, with somebody who types."""

import asyncio
import os
import pty
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LIMIT_S = 30
PROGRAM = "import sys; from qvdnode.cli.{0}.program import main; sys.argv[0] = '{0}'; main()"


@dataclass(frozen=True)
class Conversation:
    """What came of it: exit code, what was to be seen, and stdout if that went to a file."""

    exit_code: int
    screen: str
    stdout: str


async def at_terminal(
    env: Mapping[str, str],
    *words: str,
    typed: tuple[str, ...] = (),
    into: Path | None = None,
    program: str = "qvd",
) -> Conversation:
    """Run a program on a terminal, type a line at each question; stdout goes `into` a file."""
    ours, theirs = pty.openpty()
    stdout = theirs if into is None else os.open(into, os.O_WRONLY | os.O_CREAT)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM.format(program), *words),
        stdin=theirs,
        stdout=stdout,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "COLUMNS": "200", "TERM": "dumb", **env},
    )
    for descriptor in {theirs, stdout}:
        os.close(descriptor)
    try:
        async with asyncio.timeout(LIMIT_S):
            screen = await asyncio.to_thread(_converse, ours, list(typed))
            code = await child.wait()
    finally:
        os.close(ours)
        if child.returncode is None:
            child.kill()
            await child.wait()
    return Conversation(code, screen, "" if into is None else into.read_text(encoding="utf-8"))


def _converse(terminal: int, answers: list[str]) -> str:
    """Type an answer whenever a question has been asked, until the program hangs up."""
    screen, answered = "", 0
    while True:
        try:
            screen += os.read(terminal, 4096).decode(errors="replace")
        except OSError:  # the other end was closed
            return screen
        line = screen[answered:].rpartition("\n")[2]
        if answers and line.endswith(": "):  # what is typed before the blank is thrown away
            answered = len(screen)
            os.write(terminal, f"{answers.pop(0)}\n".encode())
