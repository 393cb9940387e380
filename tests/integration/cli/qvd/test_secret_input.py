"""Secrets at a real terminal, and without one."""

import json
from pathlib import Path

import pytest

from tests.harness.terminal import at_terminal
from tests.integration.cli.qvd.conftest import Qvd
from tests.integration.cli.qvd.live_node import LiveNode

pytestmark = pytest.mark.postgres


def home(config_home: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(config_home)}


async def test_a_password_is_typed_twice_and_never_shown(logged_in: Qvd, config_home: Path) -> None:
    said = await at_terminal(
        home(config_home),
        "user",
        "create",
        "bob",
        typed=(
            "hunter2",
            "hunter2",
        ),
    )
    assert said.exit_code == 0, said.screen
    assert "hunter2" not in said.screen
    assert "Warning" not in said.screen
    assert (await logged_in("user", "show", "bob")).exit_code == 0


async def test_two_different_passwords_are_asked_for_again(
    logged_in: Qvd, config_home: Path
) -> None:
    typed = ("one", "two", "three", "three")
    said = await at_terminal(home(config_home), "user", "create", "bob", typed=typed)
    assert said.exit_code == 0, said.screen
    assert "do not match" in said.screen


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
    said = await at_terminal(home(config_home), "login", node.url, typed=("n",))
    assert said.exit_code == 4, said.screen
    assert node.fingerprint in said.screen
    assert (await qvd("tenant", "list")).exit_code == 4
    said = await at_terminal(
        home(config_home),
        "login",
        node.url,
        typed=(
            "y",
            node.token,
        ),
    )
    assert said.exit_code == 0, said.screen
    assert node.token not in said.screen
    assert (await qvd("tenant", "list")).exit_code == 0


async def test_a_token_wants_a_terminal_or_its_option(qvd: Qvd, node: LiveNode) -> None:
    words = ("login", node.url, "--fingerprint", node.fingerprint)
    result = await qvd(*words, stdin=f"{node.token}\n")
    assert (result.exit_code, "--token-stdin" in result.stderr) == (2, True)


async def test_questions_do_not_come_into_the_answer(
    node: LiveNode, config_home: Path, tmp_path: Path
) -> None:
    words = ("login", node.url, "--json")
    typed = ("y", node.token)
    said = await at_terminal(home(config_home), *words, typed=typed, into=tmp_path / "answer")
    assert said.exit_code == 0, said.screen
    assert node.fingerprint in said.screen
    assert json.loads(said.stdout) == {"done": f"Logged in to {node.url}."}
