"""Numbers of things in sentences: 1 desktop, 2 desktops."""


def counted(number: int, noun: str) -> str:
    """The number and the noun, in the plural unless there is exactly one."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun.removesuffix('y')}ies" if noun.endswith("ry") else f"{number} {noun}s"


def verb(number: int, plural: str) -> str:
    """A verb in the present that goes with so many: `wait` or `waits`."""
    return f"{plural}s" if number == 1 else plural
