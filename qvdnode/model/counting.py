"""Numbers of things in sentences: 1 desktop, 2 desktops."""


def counted(number: int, noun: str) -> str:
    """The number and the noun, with an s unless there is exactly one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def verb(number: int, plural: str) -> str:
    """A verb in the present that goes with so many: `wait` or `waits`."""
    return f"{plural}s" if number == 1 else plural
