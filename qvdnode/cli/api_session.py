"""Runs one command against the node the user is logged in to, and ends it with its exit code."""

# tested-by: tests/integration/cli/test_qvd_program.py

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from qvdnode.cli import saved_login
from qvdnode.cli.api_client import ApiClient, Refused
from qvdnode.cli.exit_codes import ExitCode, exit_code_for, exit_code_of
from qvdnode.model.errors import FarmError

T = TypeVar("T")


def with_api(work: Callable[[ApiClient], Awaitable[T]]) -> T:
    """The result of `work` on the node's API; an error is told and ends the command."""

    async def connected() -> T:
        login = saved_login.load(saved_login.config_folder(os.environ))
        async with ApiClient(login) as api:
            return await work(api)

    return told(connected)


def told(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The result of `work`; an error of the farm is told and ends the command."""
    try:
        return asyncio.run(work())
    except FarmError as error:
        fail(error)
    except KeyboardInterrupt as error:
        raise typer.Exit(ExitCode.FAILED) from error


def fail(error: FarmError) -> NoReturn:
    """Tell an error on stderr and end the command with its exit code."""
    Console(stderr=True, highlight=False).print(f"[red]qvd:[/red] {escape(str(error))}")
    code = exit_code_for(error.problem_code) if isinstance(error, Refused) else exit_code_of(error)
    raise typer.Exit(code)
