"""The name of a user's account inside a guest.

It is shown as the user's `account`. If the image itself has an account or group of this name, the
session script uses another one, which only `session.log` shows.
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
"""Groups whose members have root's rights by the group's name. For other groups of an image the
session script uses another account name, but the same home."""
DIGEST_DIGITS: Final = 6
"""Hexadecimal digits of the digest that distinguishes `corp@ana` from `corp_ana`."""


def account_name(login: str) -> str:
    """Return a valid account name, similar to the login and always the same for one login.

    Case does not matter in logins. A name that differs from its login in more than case ends in a
    digest, so that no two logins of a tenant share an account.
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
