"""The page's own rules: its pure part under node, and that it tells no command or call wrongly."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from qvdnode.admin import openapi
from qvdnode.cli.qvd.program import app

ROOT = Path(__file__).parents[3]
STATIC = ROOT / "qvdnode" / "web" / "static"
NODE_TESTS = ROOT / "tests" / "web"
LIMIT_S = 120
MAX_FILE_LINES = 250
IMPURE = re.compile(
    r"\b(document|window|fetch|localStorage|navigator|Date\.now|Math\.random|setTimeout)\b"
)
COMMENT = re.compile(r"//.*|/\*[\s\S]*?\*/")


@pytest.fixture(scope="module")
def told() -> Any:
    """Every command and call that the page shows for the sample rows."""
    done = subprocess.run(
        ["node", NODE_TESTS / "samples.mjs"],
        stdout=subprocess.PIPE,
        check=True,
        timeout=LIMIT_S,
        text=True,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def paths() -> Any:
    """The paths of the API's document."""
    return openapi.document()["paths"]


@pytest.mark.timeout(LIMIT_S)
def test_the_pure_part_keeps_its_promises() -> None:
    done = subprocess.run(
        ["node", "--test", *sorted(NODE_TESTS.glob("*.test.mjs"))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=LIMIT_S,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_core_modules_are_pure() -> None:
    broken = [
        f"{path.name}: {found[0]}"
        for path in (STATIC / "core").rglob("*.js")
        if (found := IMPURE.search(COMMENT.sub("", path.read_text(encoding="utf-8"))))
    ]
    assert not broken, f"{broken}: take it as an argument"


def test_files_of_the_page_are_short_and_begin_with_what_they_are() -> None:
    for path in STATIC.rglob("*.js"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= MAX_FILE_LINES, f"{path}: split it along a noun"
        assert lines[0].startswith("// "), f"{path}: say in the first line what it is"


def test_every_command_is_one_that_qvd_takes(told: Any) -> None:
    assert len(told["commands"]) > 40
    for line in told["commands"]:
        check_command(shlex.split(line))


def check_command(words: list[str]) -> None:
    """Parse a command line as `qvd` does, without running it."""
    command: Any = get_command(app)
    assert words.pop(0) == "qvd"
    while hasattr(command, "commands"):
        assert words[0] in command.commands, words
        command = command.commands[words.pop(0)]
    command.make_context("qvd", words)


def test_every_call_is_one_of_the_api(told: Any, paths: Any) -> None:
    for call in told["calls"]:
        assert operation(paths, call["method"], call["path"]), call


def operation(paths: Any, method: str, path: str) -> Any:
    """The API's operation of a call."""
    for template, methods in paths.items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        if re.fullmatch(pattern, f"/api/v1{path}") and method.lower() in methods:
            return methods[method.lower()]
    return None


def test_every_filter_is_a_parameter_of_its_list(told: Any, paths: Any) -> None:
    for path, name in told["filters"]:
        known = [one["name"] for one in paths[f"/api/v1{path}"]["get"]["parameters"]]
        assert name in known, f"{path} has no {name}"


def test_every_field_is_one_of_the_body(told: Any) -> None:
    document: Any = openapi.document()
    for path, fields in told["fields"]:
        body = document["paths"][f"/api/v1{path}"]["post"]["requestBody"]["content"]
        name = body["application/json"]["schema"]["$ref"].split("/")[-1]
        known = document["components"]["schemas"][name]["properties"]
        assert set(fields) <= set(known), path
