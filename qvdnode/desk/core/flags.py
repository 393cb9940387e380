"""The command line of one browser's display: Xvnc and nxproxy in a sandbox of bubblewrap; pure.

Both programs are old C code. The guest chooses every byte that nxproxy reads and the browser every
byte that Xvnc reads, so they have nothing to take: a user id of their own on the host, no network,
no capability, few kinds of system calls, no file but the system's programs to read, and one small
folder with two sockets.
"""

from dataclasses import dataclass
from typing import Final

BUBBLEWRAP: Final = "bwrap"
XVNC: Final = "Xvnc"
NXPROXY: Final = "nxproxy"
PROGRAMS: Final = (BUBBLEWRAP, XVNC, NXPROXY)

DISPLAY: Final = 1
X_SOCKETS: Final = "/tmp/.X11-unix"
IO: Final = "/io"
NX_SOCKET: Final = "nx"
CUT_BYTES_MAX: Final = 256 * 1024
"""Most bytes of a text in the clipboard, in either direction."""
SIZE_MAX: Final = (3840, 2160)
SIZE_MIN: Final = (320, 200)

TMP_BYTES: Final = 16 << 20
KEYMAP_BYTES: Final = 1 << 20
FILE_BYTES: Final = 16 << 20
DESCRIPTORS: Final = 512
PROCESSES: Final = 24
"""Per user id, and each sandbox has its own."""

READABLE: Final = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/X11")
"""Files outside of /usr that programs cannot do without."""


@dataclass(frozen=True, slots=True)
class DeskFlags:
    """What differs from one browser's display to the next."""

    uid: int
    """The user id on the host that it runs under."""
    folder: str
    """Its folder on the host: the sandbox sees it as IO."""
    rfb: int
    """The descriptor of the socket that Xvnc speaks RFB on."""
    width: int
    height: int
    clipboard_in: bool = True
    clipboard_out: bool = True
    filters: tuple[int, ...] = ()
    """The descriptor of its filter of system calls, if there is one."""


def within(width: int, height: int) -> tuple[int, int]:
    """The nearest size that a browser's display may begin with."""
    (low_x, low_y), (high_x, high_y) = SIZE_MIN, SIZE_MAX
    return min(max(width, low_x), high_x), min(max(height, low_y), high_y)


def held_back(command: list[str]) -> list[str]:
    """The command, begun only when a line comes on its stdin; its first process is put aside."""
    return ["/bin/sh", "-c", 'read -r _ && exec "$@"', "sh", *command]


def sandboxed(flags: DeskFlags) -> list[str]:
    """The command line of the sandbox.

    It prints a line when the display is there, and begins nxproxy at the next line on its stdin. It
    ends when either program does, or when stdin ends before.
    """
    uid = str(flags.uid)
    return [
        # bubblewrap maps whoever calls it: begun by root, its nobody would be root on the host.
        "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs",
        "--inh-caps=-all", "--",
        "prlimit", "--core=0:0", f"--fsize={FILE_BYTES}", f"--nofile={DESCRIPTORS}",
        f"--nproc={PROCESSES}",
        # bubblewrap writes ids over 2^31 as negative numbers, so it gets to see another one.
        "unshare", "--user", "--map-root-user", "--",
        BUBBLEWRAP, "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent",
        "--new-session", "--clearenv", "--cap-drop", "ALL", "--uid", "65534", "--gid", "65534",
        *(word for number in flags.filters for word in ("--seccomp", str(number))),
        "--hostname", "desk",
        "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64",
        "/lib64", "--symlink", "usr/bin", "/bin",
        *(word for path in READABLE for word in ("--ro-bind-try", path, path)),
        "--proc", "/proc", "--dev", "/dev",
        "--size", str(TMP_BYTES), "--tmpfs", "/tmp", "--dir", "/tmp/nx",
        "--size", str(KEYMAP_BYTES), "--tmpfs", "/var/lib/xkb",
        "--bind", f"{flags.folder}/x11", X_SOCKETS,
        "--ro-bind", f"{flags.folder}/{NX_SOCKET}", f"{IO}/{NX_SOCKET}",
        "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HOME", "/tmp",
        "--setenv", "NX_CLIENT", "/bin/false", "--setenv", "DISPLAY", f":{DISPLAY}",
        "--", "/bin/bash", "-c", script(flags),
    ]  # fmt: skip


def script(flags: DeskFlags) -> str:
    """The two programs, for bash, since a shell of POSIX takes descriptors of one digit only."""
    xvnc = " ".join(xvnc_words(flags))
    nxproxy = f"{NXPROXY} -S nx/nx,connect=unix:{IO}/{NX_SOCKET},root=/tmp/nx:{DISPLAY}"
    # What nxproxy is to read is the node's word to begin, and no more.
    return (
        f"{xvnc} <&{flags.rfb} {flags.rfb}<&- &\n"
        f"exec {flags.rfb}<&-\n"
        "read -r _ || exit 0\n"
        f"exec {nxproxy} >/dev/null\n"
    )


def xvnc_words(flags: DeskFlags) -> list[str]:
    """Xvnc and its options; RFB on stdin and stdout, the display's number on stdout when ready."""
    return [
        XVNC, f":{DISPLAY}", "-inetd", "-displayfd", "1", "-ac",
        "-nolisten", "tcp", "-nolisten", "local",
        "-geometry", f"{flags.width}x{flags.height}", "-depth", "24",
        "-SecurityTypes", "None", "-AlwaysShared=0", "-NeverShared=0", "-DisconnectClients=0",
        "-RawKeyboard=1",  # keys as they are; the guest knows their layout
        "-extension", "GLX",  # would load 24 MB of Mesa
        "-CompareFB=1", "-FrameRate", "60",
        "-SendPrimary=0", "-SetPrimary=0", "-MaxCutText", str(CUT_BYTES_MAX),
        f"-AcceptCutText={int(flags.clipboard_in)}", f"-SendCutText={int(flags.clipboard_out)}",
    ]  # fmt: skip
