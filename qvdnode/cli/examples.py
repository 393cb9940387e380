"""The end of a command's help: what one would type."""

from typing import Final

HEADING: Final = "Examples:"


def examples(*lines: str) -> str:
    """For `epilog=`: a line each, which needs an empty line between in rich's eyes."""
    return "\n\n".join([HEADING, *lines])
