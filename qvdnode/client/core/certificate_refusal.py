"""What OpenSSL's verdict on a server's certificate means to a person; pure.

The codes are those of X509_V_ERR, which OpenSSL keeps stable.
"""

from dataclasses import dataclass
from typing import Final

from qvdnode.model.errors import Forbidden


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong, going on after "The certificate", and what to do."""

    fault: str
    advice: str


SELF_SIGNED: Final = 18
"""The certificate vouches for itself: there is no authority behind it."""
UNKNOWN_AUTHORITY: Final = Verdict(
    "comes from an authority that this machine does not trust",
    "Give the authority's certificate with --ca FILE, or install it in the system.",
)
WRONG_NAME: Final = Verdict(
    "is for other names than the one you gave",
    "Use a name that is in the certificate, or have a certificate made for this name.",
)
ASK: Final = "Ask the server's administrator for a new one."
VERDICTS: Final[dict[int, Verdict]] = {
    2: UNKNOWN_AUTHORITY,
    7: UNKNOWN_AUTHORITY,  # known by name, but another one signed
    9: Verdict("is not valid yet", "Look at the clocks of both machines."),
    10: Verdict("has expired, or that of its authority has", ASK),
    SELF_SIGNED: Verdict(
        "is signed by itself, and this machine does not trust it",
        "Ask the server's administrator for its fingerprint.",
    ),
    19: UNKNOWN_AUTHORITY,
    20: UNKNOWN_AUTHORITY,
    21: UNKNOWN_AUTHORITY,
    23: Verdict("was revoked", ASK),
    62: WRONG_NAME,
    64: WRONG_NAME,
}


class Untrusted(Forbidden):
    """No authority that this machine trusts vouches for the server's certificate."""

    def __init__(self, message: str, *, self_signed: bool) -> None:
        super().__init__(message)
        self.self_signed = self_signed
        """Whether no authority ever could, so that the certificate can be pinned alone."""


def untrusted(server: str, code: int, message: str) -> Untrusted:
    """The error for a certificate that was refused; `message` is OpenSSL's, for unknown codes."""
    verdict = VERDICTS.get(code, Verdict(f"was refused ({message})", ASK))
    return Untrusted(
        f"The certificate of {server} {verdict.fault}; nothing was sent to it. {verdict.advice}",
        self_signed=code == SELF_SIGNED,
    )
