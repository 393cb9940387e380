"""Both programs, command by command: help, examples that can be typed, --json, errors."""

import re
import shlex
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from qvdnode.admin.endpoint import AnyEndpoint
from qvdnode.admin.endpoints import ENDPOINTS
from qvdnode.cli.examples import HEADING
from qvdnode.cli.program import TellingGroup
from qvdnode.cli.qvd.program import app as qvd_app
from qvdnode.cli.qvdnode.program import app as qvdnode_app
from qvdnode.model.errors import BadConfig, Conflict, FarmError, NotFound, Unavailable

PROGRAMS: dict[str, Any] = {
    "qvd": get_command(qvd_app),
    "qvdnode": get_command(qvdnode_app),
}
ROOT = Path(__file__).parents[3]
SHOWS_A_WINDOW = "qvd connect"
IS_A_TERMINAL = "qvd vm console"
SHELL = re.compile(r" [<>|] .*$|^(\w+=\S+ )+|\$\(.*?\)")
"""What is the shell's: where input comes from, variables, and what other commands say."""


def leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with the words to type."""
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, child in command.commands.items():
        yield from leaves(child, f"{path} {name}")


LEAVES = dict(leaf for name, command in PROGRAMS.items() for leaf in leaves(command, name))
EXAMPLES = [
    (path, line)
    for path, command in LEAVES.items()
    for line in (command.epilog or "").split("\n\n")
    if line and line != HEADING
]

PAGES = ("README.md", "docs/operations.md", "docs/rest.md", "docs/images.md")
TOLD = [
    (page, line)
    for page in PAGES
    for line in re.findall(
        r"^(?:    )?(?:\.venv/bin/)?(qvd(?:node)? .*)$", (ROOT / page).read_text(), re.MULTILINE
    )
]
"""What readers are told to type, each on a line of its own."""


def test_there_is_something_to_look_at() -> None:
    assert len(LEAVES) > 40


@pytest.mark.parametrize("path", LEAVES)
def test_a_command_says_what_it_does_and_shows_how(path: str) -> None:
    command = LEAVES[path]
    assert command.help
    assert [line for owner, line in EXAMPLES if owner == path], f"{path} has no example"
    silent = [item.name for item in command.params if item.name != "help" and not item.help]
    assert not silent, f"{path}: {silent} have no help"


@pytest.mark.parametrize(("path", "line"), EXAMPLES)
def test_an_example_can_be_typed(path: str, line: str) -> None:
    typed = SHELL.sub("", line)
    assert typed.startswith(path)
    words = shlex.split(typed.removeprefix(path))
    LEAVES[path].make_context(path, words)


@pytest.mark.parametrize(("page", "line"), TOLD)
def test_commands_on_the_pages_exist(page: str, line: str) -> None:
    words = shlex.split(SHELL.sub("", line), comments=True)
    path = next(path for path in LEAVES if words[: len(path.split())] == path.split())
    LEAVES[path].make_context(path, words[len(path.split()) :])


def test_pages_say_something() -> None:
    assert {page for page, _ in TOLD} == set(PAGES)


@pytest.mark.parametrize("path", [path for path in LEAVES if path.startswith("qvd ")])
def test_programs_can_read_what_a_command_says(path: str) -> None:
    options = {word for item in LEAVES[path].params for word in item.opts}
    assert ("--json" in options) == (path not in {SHOWS_A_WINDOW, IS_A_TERMINAL})


SERVED_BY = {
    "GET /tenants": "tenant list",
    "POST /tenants": "tenant create",
    "GET /tenants/{id}": "tenant show",
    "PATCH /tenants/{id}": "tenant block",
    "DELETE /tenants/{id}": "tenant delete",
    "GET /users": "user list",
    "POST /users": "user create",
    "GET /users/{id}": "user show",
    "PATCH /users/{id}": "user block",
    "PUT /users/{id}/password": "user password",
    "PUT /users/{id}/home": "user home",
    "DELETE /users/{id}/tokens": "user revoke-tokens",
    "DELETE /users/{id}": "user delete",
    "GET /users/{id}/home/snapshots": "home log",
    "POST /users/{id}/home/snapshots": "home snapshot",
    "POST /users/{id}/home/restore": "home restore",
    "GET /flavours": "flavour list",
    "POST /flavours": "flavour create",
    "GET /flavours/{id}": "flavour show",
    "PATCH /flavours/{id}": "flavour change",
    "DELETE /flavours/{id}": "flavour delete",
    "GET /images": "image list",
    "GET /images/{name}": "image show",
    "GET /images/{name}/versions": "image show",
    "PUT /images/{name}/head": "image head",
    "DELETE /images/{name}": "image delete",
    "POST /images/{name}/versions": "image import",
    "GET /images/{name}/refs": "image branch",
    "PUT /images/{name}/refs": "image branch",
    "DELETE /images/{name}/refs": "image tag",
    "GET /images/{name}/refs/log": "image reflog",
    "POST /images/{name}/rollback": "image rollback",
    "POST /images/{name}/commits": "image commit",
    "GET /images/{name}/content": "image export",
    "GET /images/{name}/log": "image log",
    "GET /images/{name}/diff": "image diff",
    "POST /images/{name}/rollout": "image rollout start",
    "GET /images/{name}/rollout": "image rollout status",
    "POST /images/{name}/rollout/pause": "image rollout pause",
    "POST /images/{name}/rollout/resume": "image rollout resume",
    "POST /images/{name}/rollout/abort": "image rollout abort",
    "GET /vms/{id}/tags": "vm tag",
    "PUT /vms/{id}/tags": "vm tag",
    "GET /node/images": "image status",
    "GET /vms": "vm list",
    "POST /vms": "vm create",
    "GET /vms/{id}": "vm show",
    "PATCH /vms/{id}": "vm block",
    "DELETE /vms/{id}": "vm delete",
    "POST /vms/{id}/start": "vm start",
    "POST /vms/{id}/stop": "vm stop",
    "POST /vms/{id}/disconnect": "vm disconnect",
    "GET /vms/{id}/placement": "vm explain",
    "GET /vms/{id}/log": "vm log",
    "GET /sessions": "session list",
    "GET /node": "node show",
    "GET /node/memory": "node memory",
    "GET /nodes": "node list",
    "GET /nodes/{id}": "node show",
    "POST /nodes/invite": "node invite",
    "DELETE /nodes/{id}": "node remove",
    "POST /nodes/{id}/drain": "node drain",
    "POST /nodes/{id}/undrain": "node undrain",
    "POST /nodes/{id}/fence": "node fence",
    "GET /farm/key": "node key show",
    "POST /farm/key": "node key rotate",
    "GET /audit": "audit list",
    "GET /tokens": "token list",
    "POST /tokens": "token create",
    "DELETE /tokens/{id}": "token revoke",
    "GET /events": "events",
    "GET /figures": "node figures",
    "GET /search": "search",
    "GET /session": "web whoami",
    "POST /session/links": "web link",
    "GET /web-sessions": "web list",
    "DELETE /web-sessions/{id}": "web revoke",
}
"""Which command of `qvd` is for which endpoint."""
OTHERWISE = {
    "after": "lists are fetched page after page, up to --limit",
    "blocked": "`block` and `unblock` are two commands",
    "password": "--password-stdin, or typed",
    "POST /users login": "stands in USER",
    "POST /users tenant_id": "stands in USER",
    "POST /flavours name": "stands in FLAVOUR",
    "POST /flavours tenant_id": "stands in FLAVOUR",
    "GET /search q": "TEXT",
    "PATCH /tenants/{id} assistance": "`qvd tenant assistance`",
    "GET /tenants tenant_id": "`qvd tenant show`",
    "GET /audit object_kind": "--kind",
    "GET /audit object_id": "--id",
    "PUT /images/{name}/refs name": "stands in NAME",
    "PUT /images/{name}/refs tag": "`branch` and `tag` are two commands",
    "DELETE /images/{name}/refs name": "stands in NAME",
    "DELETE /images/{name}/refs tag": "`branch` and `tag` are two commands",
    "POST /images/{name}/rollback branch": "stands in IMAGE/BRANCH",
    "POST /images/{name}/commits branch": "stands in IMAGE/BRANCH",
    "POST /images/{name}/versions branch": "stands in IMAGE/BRANCH of `commit`",
    "POST /images/{name}/versions head": "`import` and `commit` are two commands",
    "GET /images/{name}/diff old": "stands in OLD",
    "GET /images/{name}/diff new": "stands in NEW",
    "PUT /images/{name}/head version": "stands in REV, as a number",
}
"""Fields without an option of their name, and why."""


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda item: f"{item.method} {item.path}")
def test_qvd_reaches_all_of_the_api(endpoint: AnyEndpoint) -> None:
    name = f"{endpoint.method} {endpoint.path}"
    command = LEAVES[f"qvd {SERVED_BY[name]}"]
    options = {word.lstrip("-") for item in command.params for word in item.opts}
    fields = {*endpoint.body.model_fields, *endpoint.query.model_fields}
    missing = {
        field
        for field in fields
        if not {field, f"{name} {field}"} & OTHERWISE.keys()
        and not {field.replace("_", "-"), field.removesuffix("_id")} & options
    }
    assert not missing, f"qvd {SERVED_BY[name]} has no option for {missing}"


@pytest.mark.parametrize(("app", "name"), [(qvd_app, "qvd"), (qvdnode_app, "qvdnode")])
def test_a_program_tells_its_version(app: typer.Typer, name: str) -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"{name} {version('qvdnode')}\n")


def test_ctrl_c_ends_a_command_as_shells_expect() -> None:
    app = typer.Typer(name="prog", cls=TellingGroup)

    @app.command()
    def one() -> None:
        raise KeyboardInterrupt

    @app.command()
    def two() -> None:
        """Make it a program of several commands."""

    assert CliRunner().invoke(app, ["one"]).exit_code == 130


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Conflict("In [use]. " * 20), 1),
        (BadConfig("No such key."), 2),
        (NotFound("No such VM."), 3),
        (Unavailable("Try later."), 5),
    ],
)
def test_an_error_is_one_line_with_the_programs_name(error: FarmError, code: int) -> None:
    app = typer.Typer(name="prog", cls=TellingGroup)

    @app.command()
    def one() -> None:
        raise error

    @app.command()
    def two() -> None:
        """Make it a program of several commands."""

    result = CliRunner().invoke(app, ["one"])
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr == f"prog: {error}\n"
