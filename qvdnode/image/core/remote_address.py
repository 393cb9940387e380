"""Addresses of remotes, and what registries say of themselves in headers; pure.

docker://HOST[:PORT]/PATH   a registry; each image is a repository below the path
oci:PATH or /PATH           a folder; each image is an OCI layout in it
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from qvdnode.model.errors import BadImage, Invalid

REGISTRY: Final = "docker://"
FOLDER: Final = "oci:"
TOKEN_WORDS_MAX: Final = 20
_HOST: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?|\[[0-9a-fA-F:.]{2,45}\])(?::[0-9]{1,5})?"
)
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH: Final = re.compile(rf"{_PART}(?:/{_PART}){{0,15}}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_WORD: Final = re.compile(r'([A-Za-z0-9_-]{1,40})=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_RANGE: Final = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a remote is; either a registry or a folder."""

    host: str = ""
    """With its port, if it has one of its own."""
    path: str = ""

    @property
    def text(self) -> str:
        """As people write it."""
        if not self.host:
            return f"{FOLDER}{self.path}"
        return f"{REGISTRY}{self.host}/{self.path}".rstrip("/")

    def repository(self, image: str) -> str:
        """The repository of an image in a registry; raises Invalid for what registries refuse."""
        name = f"{self.path}/{image}".lstrip("/")
        if _PATH.fullmatch(name) is None or len(name) > 200:
            raise Invalid(
                f"A registry takes no repository named {name!r}: lower-case letters, digits and"
                " single dots, dashes or underscores between them. --as gives another name.",
                field="image",
            )
        return name


@dataclass(frozen=True, slots=True)
class Challenge:
    """How a registry wants to be asked."""

    bearer: bool
    """By a token that is fetched from `realm`; by name and password otherwise."""
    realm: str = ""
    service: str = ""
    scope: str = ""


def parse(text: str) -> Address:
    """The address that somebody wrote; raises Invalid."""
    if text.startswith(REGISTRY):
        host, _, path = text.removeprefix(REGISTRY).rstrip("/").partition("/")
        if _HOST.fullmatch(host) is None or (path and _PATH.fullmatch(path) is None):
            raise Invalid(
                f"{text!r} is no registry: write docker://HOST[:PORT]/PATH, the path in lower case",
                field="url",
            )
        return Address(host, path)
    path = text.removeprefix(FOLDER)
    if not path.startswith("/") or "\0" in path:
        raise Invalid(
            f"{text!r} is no remote: write docker://HOST[:PORT]/PATH for a registry, or"
            " oci:/PATH for a folder",
            field="url",
        )
    return Address("", path)


def require_name(text: str) -> str:
    """A name that a remote may have; raises Invalid."""
    if _NAME.fullmatch(text) is None:
        raise Invalid(f"{text!r} is no name for a remote: use letters, digits, dots and dashes")
    return text


def challenge(header: str) -> Challenge:
    """What a WWW-Authenticate header asks for; raises BadImage for what is not known."""
    kind, _, rest = header.strip().partition(" ")
    if kind.lower() == "basic":
        return Challenge(bearer=False)
    found = {one[1].lower(): one[2] or one[3] or "" for one in _WORD.finditer(rest[:4_096])}
    realm = found.get("realm", "")
    try:
        place = urlsplit(realm)
        known = place.scheme in {"http", "https"} and bool(place.hostname)
    except ValueError:
        known = False
    if kind.lower() != "bearer" or not known or len(found) > TOKEN_WORDS_MAX:
        raise BadImage("the registry asks for a login of an unknown kind")
    return Challenge(
        bearer=True, realm=realm, service=found.get("service", ""), scope=found.get("scope", "")
    )


def received(header: str) -> int:
    """How many bytes of an upload a registry has, by its Range header; raises BadImage.

    What has nothing yet says `0-0`, as one that has a byte does: that byte is sent again then.
    """
    found = _RANGE.fullmatch(header.strip())
    if found is None:
        raise BadImage("the registry does not say how much of an upload it has")
    last = int(found[1])
    return last + 1 if last else 0
