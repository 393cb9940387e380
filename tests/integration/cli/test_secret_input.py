"""Secrets at a real terminal, and without one."""

import asyncio
import os
import pty
import sys
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Qvd
from tests.integration.cli.live_node import LiveNode

pytestmark = pytest.mark.postgres

LIMIT_S = 30


async def at_terminal(config_home: Path, *words: str, typed: list[str]) -> tuple[int, str]:
    """Run `qvd` on a terminal of its own, type a line at each question; exit code and screen."""
    ours, theirs = pty.openpty()
    program = "import sys; from qvdnode.cli.qvd_program import main; sys.argv[0] = 'qvd'; main()"
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, *words),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "XDG_CONFIG_HOME": str(config_home), "COLUMNS": "200", "TERM": "dumb"},
    )
    os.close(theirs)
    try:
        async with asyncio.timeout(LIMIT_S):
            screen = await asyncio.to_thread(_converse, ours, list(typed))
            return await child.wait(), screen
    finally:
        os.close(ours)
        if child.returncode is None:
            child.kill()
            await child.wait()


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


async def test_a_password_is_typed_twice_and_never_shown(logged_in: Qvd, config_home: Path) -> None:
    code, screen = await at_terminal(
        config_home, "user", "create", "bob", typed=["hunter2", "hunter2"]
    )
    assert code == 0, screen
    assert "hunter2" not in screen
    assert "Warning" not in screen
    assert (await logged_in("user", "show", "bob")).exit_code == 0


async def test_two_different_passwords_are_asked_for_again(
    logged_in: Qvd, config_home: Path
) -> None:
    typed = ["one", "two", "three", "three"]
    code, screen = await at_terminal(config_home, "user", "create", "bob", typed=typed)
    assert code == 0, screen
    assert "do not match" in screen


async def test_without_a_terminal_the_option_is_named(logged_in: Qvd) -> None:
    for words in (("user", "create", "bob"), ("user", "password", "bob")):
        result = await logged_in(*words, stdin="hunter2\n")
        assert result.exit_code == 2
        assert "--password-stdin" in result.stderr
        assert "Warning" not in result.output
    assert (await logged_in("user", "show", "bob")).exit_code == 3


async def test_an_empty_stdin_sets_no_password(logged_in: Qvd) -> None:
    result = await logged_in("user", "create", "bob", "--password-stdin", stdin="")
    assert (result.exit_code, "nothing on stdin" in result.stderr) == (2, True)


async def test_a_password_that_is_too_long_is_not_cut_off(logged_in: Qvd) -> None:
    result = await logged_in("user", "create", "bob", "--password-stdin", stdin="x" * 1025)
    assert (result.exit_code, "longer than" in result.stderr) == (2, True)


async def test_a_person_confirms_the_fingerprint(
    qvd: Qvd, node: LiveNode, config_home: Path
) -> None:
    code, screen = await at_terminal(config_home, "login", node.url, typed=["n"])
    assert code == 4, screen
    assert node.fingerprint in screen
    assert (await qvd("tenant", "list")).exit_code == 4
    code, screen = await at_terminal(config_home, "login", node.url, typed=["y", node.token])
    assert code == 0, screen
    assert node.token not in screen
    assert (await qvd("tenant", "list")).exit_code == 0


async def test_a_token_wants_a_terminal_or_its_option(qvd: Qvd, node: LiveNode) -> None:
    words = ("login", node.url, "--fingerprint", node.fingerprint)
    result = await qvd(*words, stdin=f"{node.token}\n")
    assert (result.exit_code, "--token-stdin" in result.stderr) == (2, True)
