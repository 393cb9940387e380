"""Lines between the node and the agent in a machine: questions, and answers, maybe lies. Pure.

NUMBER VERB [ARGUMENT...] is asked, NUMBER CODE is answered, in any order. A guest can write what it
likes to its end: what is not an answer is passed over, up to a limit, after which it is hung up on.
"""

import re
from dataclasses import dataclass
from typing import Final

LINE_MAX: Final = 64
"""Bytes of a line, with its end."""
NONSENSE_MAX: Final = 64 * 1024
"""Bytes of one connection that answer no request, before a guest is taken for a flood."""
_ANSWER: Final = re.compile(rb"([0-9a-f]{1,32}) ([0-9]{1,3})\r?\Z")
_WORD: Final = re.compile(r"[A-Za-z0-9_-]+\Z")


class Flood(Exception):
    """The other end writes what nobody asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program in the guest ended with; 0 is yes."""

    number: str
    code: int


def question(number: str, verb: str, *arguments: str) -> bytes:
    """The line that asks for it; raises ValueError for a word that would be several."""
    words = (number, verb, *arguments)
    for word in words:
        if _WORD.match(word) is None:
            raise ValueError(f"{word!r} cannot be said to the agent of a machine")
    line = " ".join(words).encode("ascii") + b"\n"
    if len(line) > LINE_MAX:
        raise ValueError(f"{verb} is too long for the agent of a machine")
    return line


class AnswerReader:
    """Makes answers of what arrives, in pieces of any size; keeps LINE_MAX bytes at most."""

    def __init__(self) -> None:
        self._rest = b""
        self._nonsense = 0

    def feed(self, piece: bytes) -> list[Answer]:
        """The answers that are whole now; raises Flood once too much was none."""
        *lines, rest = (self._rest + piece).split(b"\n")
        if len(rest) > LINE_MAX:
            self._nonsense += len(rest)
            rest = rest[:LINE_MAX]  # too long for an answer, however it goes on
        self._rest = rest
        answers: list[Answer] = []
        for line in lines:
            found = _ANSWER.match(line)
            if found is None:
                self._nonsense += len(line) + 1
            else:
                answers.append(Answer(found[1].decode(), int(found[2])))
        if self._nonsense > NONSENSE_MAX:
            raise Flood
        return answers

    def unasked(self, answer: Answer) -> None:
        """Count an answer to a question that nobody asked; raises Flood."""
        self._nonsense += len(answer.number) + 5
        if self._nonsense > NONSENSE_MAX:
            raise Flood
