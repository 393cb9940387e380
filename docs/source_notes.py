"""What the code says about itself: docstrings, and the strings under fields and members."""

import ast
import inspect
import itertools
from collections.abc import Iterator
from typing import cast


def attribute_docs(kind: type) -> Iterator[tuple[str, str]]:
    """Name and explanation of each field or member of a class that has one."""
    body = cast("ast.ClassDef", ast.parse(inspect.getsource(kind)).body[0]).body
    for item, below in itertools.pairwise(body):
        name = assigned_name(item)
        if name and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            yield name, one_line(str(below.value.value))


def assigned_name(item: ast.stmt) -> str | None:
    """The name that a plain or annotated assignment gives a value to."""
    if isinstance(item, ast.AnnAssign):
        target: ast.expr = item.target
    elif isinstance(item, ast.Assign) and len(item.targets) == 1:
        target = item.targets[0]
    else:
        return None
    return target.id if isinstance(target, ast.Name) else None


def one_line(text: str | None) -> str:
    """A docstring as one table cell."""
    return " ".join((text or "").split()).replace("|", "\\|")
