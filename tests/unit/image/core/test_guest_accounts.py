"""The user of a desktop is no part of an image made of it."""

from qvdnode.image.core.guest_accounts import without_user

PASSWD = b"root:x:0:0::/root:/bin/sh\navahi:x:105:110::/:/bin/false\n"
GROUP = b"root:x:0:\navahi:x:110:\n"
SHADOW = b"root:*::::::\navahi:!::::::\n"


def test_the_account_goes_and_those_of_packages_stay() -> None:
    found = without_user(
        {
            b"/etc/passwd": PASSWD + b"ana-user:x:1000:1000:ana:/home/ana:/bin/bash\n",
            b"/etc/group": GROUP + b"ana-user:x:1000:\n",
            b"/etc/shadow": SHADOW + b"ana-user:!:19000:0:99999:7:::\n",
        }
    )
    assert found == {b"/etc/passwd": PASSWD, b"/etc/group": GROUP, b"/etc/shadow": SHADOW}


def test_files_without_it_stay_as_they_are() -> None:
    files = {b"/etc/passwd": PASSWD + b"odd\n\nx:y", b"/etc/shadow": b""}
    assert without_user(files) == files
