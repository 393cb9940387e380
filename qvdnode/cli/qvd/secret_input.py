"""Passwords and tokens come from a prompt or from stdin, never from the command line."""

import sys

import typer

from qvdnode.model.errors import Invalid

SECRET_MAX = 1024


def read_password(*, from_stdin: bool) -> str:
    """A new password: the first line of stdin, or typed twice; raises Invalid for neither."""
    if from_stdin:
        return first_line()
    return asked("Password", instead="--password-stdin", twice=True)


def read_token(*, from_stdin: bool) -> str:
    """An API token: the first line of stdin, or typed once; raises Invalid for neither."""
    if from_stdin:
        return first_line().strip()
    return asked("API token", instead="--token-stdin").strip()


def asked(prompt: str, *, instead: str, twice: bool = False) -> str:
    """What a person types unseen; raises Invalid, naming the option to use, without a terminal."""
    if not sys.stdin.isatty():
        raise Invalid(f"There is no terminal to ask at: give it on stdin, with {instead}.")
    typed: str = typer.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True)
    return typed


def first_line() -> str:
    """The first line of stdin without its end; raises Invalid when there is none or no text."""
    try:
        line = sys.stdin.readline(SECRET_MAX + 1).rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise Invalid("What came on stdin is not text in UTF-8.") from error
    if not line:
        raise Invalid("There is nothing on stdin.")
    if len(line) > SECRET_MAX:
        raise Invalid(f"The first line of stdin is longer than {SECRET_MAX} characters.")
    return line
