"""The first words of an NX client on a fresh stream: `NXPROXY-<versions> <options> `. Pure.

nxagent aborts its whole session when the very first connection it ever gets ends before the
greeting is complete, so no guest is dialled before this file has seen all of it.
"""

import re
from typing import Final

GREETING_BYTES_MAX: Final = 1024
"""An nxproxy with every option on sends about 150."""

PREFIX: Final = b"NXPROXY-"
_VERSION: Final = rb"[0-9]{1,3}(?:\.[0-9]{1,3}){2}"
_VERSIONS: Final = re.compile(rb"NXPROXY-%b(?:-%b)?" % (_VERSION, _VERSION))
"""The version it is compatible with, and its own, which the oldest leave out."""
_OPTIONS: Final = re.compile(rb"[!-~]+")


class BadGreeting(Exception):
    """What the client sent is not the start of an NX stream; the text says why."""


def greeting_length(received: bytes | bytearray) -> int | None:
    """How many bytes the greeting takes at the start of `received`, None while it is incomplete.

    Raises BadGreeting as soon as no continuation can make it one.
    """
    if received[: len(PREFIX)] != PREFIX[: len(received)]:
        raise BadGreeting("the stream does not start with an NX greeting")
    versions, found, rest = received.partition(b" ")
    if found and not _VERSIONS.fullmatch(versions):
        raise BadGreeting("the NX greeting names no version")
    options, ended, _ = rest.partition(b" ")
    if options and not _OPTIONS.fullmatch(options):
        raise BadGreeting("the NX greeting's options hold bytes that no option has")
    length = len(versions) + len(options) + 2
    if length > GREETING_BYTES_MAX:
        raise BadGreeting(f"the NX greeting is longer than {GREETING_BYTES_MAX} bytes")
    if not ended:
        return None
    if not options:
        raise BadGreeting("the NX greeting has no options")
    return length
