"""Passwords and tokens come from a prompt or from stdin, never from the command line."""

# tested-by: tests/integration/cli/test_qvd_login.py

import sys

import typer

from qvdnode.model.errors import Invalid

SECRET_MAX = 1024


def read_password(*, from_stdin: bool) -> str:
    """A new password: the first line of stdin, or typed twice."""
    if from_stdin:
        return first_line()
    typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return typed


def read_token(*, from_stdin: bool) -> str:
    """An API token: the first line of stdin, or typed once."""
    if from_stdin:
        return first_line().strip()
    typed: str = typer.prompt("API token", hide_input=True)
    return typed.strip()


def first_line() -> str:
    """The first line of stdin without its end; raises Invalid when there is none."""
    line = sys.stdin.readline(SECRET_MAX).rstrip("\r\n")
    if not line:
        raise Invalid("There is nothing on stdin.")
    return line
