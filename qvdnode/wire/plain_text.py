"""Removes control characters from untrusted text for terminals; pure.

A desktop's name or a log line may hold sequences that move the cursor, set the clipboard or change
the direction of writing, and so show a false text.
"""

import json


def printable(text: str) -> str:
    """The text without control characters and without invisible signs, such as those of bidi."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def printable_lines(text: str) -> str:
    """The same for a text of several lines, which stay; tabs become blanks."""
    return "\n".join(printable(line.expandtabs()) for line in text.splitlines())


def plain_json(value: object) -> str:
    """Indented JSON of printable signs; others are escaped, which a program reads as they are."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "".join(sign if sign.isprintable() or sign == "\n" else _escaped(sign) for sign in text)


def _escaped(sign: str) -> str:
    return json.dumps(sign)[1:-1]
