"""Whether what belongs to a session works: Chinese input, keyring, SSH agent, autostart, sandboxes.

`python -m bench.session_services [DESKTOP...]`, as root; XFCE if none is named. Each desktop is
built with an input method and the programs that are tried, in Chinese, and its flavour has
`--nesting`. Chinese is typed as keys, and what arrives is read. Pictures go into `--pictures`.
"""

import argparse
import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from bench import programs
from bench.results_file import RESULTS
from qvdnode.image import recipes
from qvdnode.image.core.recipe_choice import Choice
from tests.fixtures_image import build_if_missing

FIGURES: Final = RESULTS / "session_services.json"
PACKAGES: Final = (
    "input", "bubblewrap", "libsecret-tools", "podman", "flatpak", "mesa-utils", "x11-utils",
    "xdotool", "procps", "openssh-client",
)  # fmt: skip
LOCALES: Final = ("en_US", "zh_CN")
CHINESE: Final = """
ibus engine libpinyin
setsid -f x-terminal-emulator -e sh -c 'cat >/tmp/typed' </dev/null >/dev/null 2>&1
sleep 10
xdotool type --delay 200 nihao
sleep 3
xdotool key space
sleep 1
xdotool key Return
sleep 1
xdotool key ctrl+d
sleep 2
grep -qx 你好 /tmp/typed"""
PODMAN: Final = r"""
root=/tmp/tiny
libraries=lib/x86_64-linux-gnu
mkdir -p $root/bin $root/$libraries $root/lib64
cp /usr/bin/dash $root/bin/sh
cp /lib64/ld-linux-x86-64.so.2 $root/lib64/
cp /$libraries/libc.so.6 $root/$libraries/
tar -c --owner=0 --group=0 -C $root . | podman --cgroup-manager=cgroupfs import - tiny
said=$(podman --cgroup-manager=cgroupfs run --rm --cgroups=disabled --network=host tiny \
    /bin/sh -c 'echo hello')
test "$said" = hello"""
"""There is no registry to ask: the container is made of a shell of the image."""
TRIED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "keyring": "printf secret | secret-tool store --label=x k v &&"
        ' test "$(secret-tool lookup k v)" = secret',
        "SSH agent": "ssh-keygen -q -t ed25519 -N '' -f /tmp/key && ssh-add /tmp/key &&"
        " ssh-add -l | grep -q ED25519",
        "autostart": "timeout 60 sh -c 'until test -s ~/.config/user-dirs.dirs; do sleep 1; done'",
        "bubblewrap": "bwrap --ro-bind / / --proc /proc --dev /dev true",
        "bubblewrap without network": "bwrap --unshare-all --ro-bind / / --proc /proc --dev /dev"
        " true",
        "podman": PODMAN,
        "Chinese": CHINESE,
    }
)


async def tried(name: str, root: Path, folder: Path | None) -> dict[str, bool]:
    """What works in a desktop; a picture of it after all was tried goes into `folder`, if any."""
    async with programs.open_desktop(
        name, root, memory_mib=3072, locale="zh_CN.UTF-8", nesting=True
    ) as shown:
        await shown.watcher.drawn(shown.window, programs.LIMIT_S)
        found = {
            what: await programs.in_session(shown.desk, command) for what, command in TRIED.items()
        }
        picture = await shown.watcher.picture(shown.window)
        if folder is not None and picture is not None:
            programs.write_picture(folder / f"{name}-session", picture)
        return found


def main() -> None:
    """Try the desktops named."""
    parser = argparse.ArgumentParser(prog="python -m bench.session_services")
    parser.add_argument("names", nargs="*", default=["xfce"])
    parser.add_argument("--suite", default=None)
    parser.add_argument("--pictures", type=Path, default=None, help="a folder to keep them in")
    asked = parser.parse_args()
    known = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    for name in asked.names:
        root = build_if_missing(recipes.by_name(name, Choice(asked.suite, PACKAGES, LOCALES)))
        known[name] = asyncio.run(tried(name, root, asked.pictures))
        FIGURES.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        for what, works in known[name].items():
            print(f"{name}: {what}: {'works' if works else 'does not work'}")


if __name__ == "__main__":
    main()
