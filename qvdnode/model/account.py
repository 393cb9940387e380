"""The name of a user's account inside a guest."""

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


def account_name(login: str) -> str:
    """A valid account name as close to the login as can be; always the same for one login."""
    name = _ODD.sub("_", login.lower())
    if not name or not ("a" <= name[0] <= "z" or name[0] == "_"):
        name = f"u{name}"
    if name in TAKEN:
        name = f"{name}-user"
    return name[:ACCOUNT_MAX]
