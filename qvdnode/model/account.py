"""The name of a user's account inside a guest.

It is shown as the user's `account`. An image that has this name for itself makes the session script
take another one, which only `session.log` tells.
"""

import hashlib
import re
from typing import Final

_ODD: Final = re.compile(r"[^a-z0-9_.-]")
ACCOUNT_MAX: Final = 32

TAKEN: Final = frozenset({
    "_apt", "avahi", "backup", "bin", "colord", "daemon", "dbus", "games", "gnats", "irc",
    "kernoops", "lightdm", "list", "lp", "mail", "man", "messagebus", "news", "nobody", "polkitd",
    "proxy", "pulse", "root", "rtkit", "saned", "sshd", "sync", "sys", "syslog", "systemd-network",
    "systemd-resolve", "systemd-timesync", "tss", "usbmux", "uucp", "uuidd", "www-data",
})  # fmt: skip
"""Accounts that Debian's packages make; a user of that login gets another name."""
GROUPS: Final = frozenset({"docker", "lxd", "shadow", "sudo", "wheel"})
"""Groups that give root's rights to whoever is in a group of that name. The session script keeps
other groups of an image apart without another home."""
DIGEST_DIGITS: Final = 6
"""Of the digest that tells `corp@ana` and `corp_ana` apart."""


def account_name(login: str) -> str:
    """A valid account name as close to the login as can be; always the same for one login.

    Logins are the same in capitals and small letters. One that loses more than that on its way ends
    in a digest, so that no two logins of a tenant have one account.
    """
    lowered = login.lower()
    name = _ODD.sub("_", lowered)
    if not name or not ("a" <= name[0] <= "z" or name[0] == "_"):
        name = f"u{name}"
    if name in TAKEN or name in GROUPS:
        name = f"{name}-user"
    elif name != lowered or len(name) > ACCOUNT_MAX:
        digest = hashlib.sha256(lowered.encode(errors="surrogatepass")).hexdigest()
        suffix = f"-{digest[:DIGEST_DIGITS]}"
        name = name[: ACCOUNT_MAX - len(suffix)] + suffix
    return name
