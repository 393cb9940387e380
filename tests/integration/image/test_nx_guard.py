"""The library that is preloaded into nxagent, before small ones in the place of nx-libs'.

What it is for is tried in tests/e2e/test_display_faults.py, with clients that vanish.
"""

import json
import os
import sys
from pathlib import Path

import pytest

from qvdnode.host import process
from qvdnode.image.core.recipe import library_argv

SOURCE = Path(__file__).parents[3] / "qvdnode/image/guest/nx-guard.c"
BYTES = 40
"""A reply and two words of what follows it."""
DEAD = """
int _XRead(void *display, unsigned char *data, long bytes) { return -1; }
int _XReply(void *display, unsigned char *reply, int extra, int discard) { return 0; }
"""
ALIVE = """
int _XRead(void *display, unsigned char *data, long bytes) { data[0] = bytes; return 0; }
int _XReply(void *display, unsigned char *reply, int extra, int discard)
{
    reply[0] = 1;
    reply[1] = extra;
    reply[2] = discard;
    return display == (void *) 7;
}
"""
CALLER = f"""
import ctypes, json, sys
names = ctypes.CDLL(None)
told = []
for call in json.loads(sys.argv[1]):
    name, *words = call
    data = (ctypes.c_ubyte * {BYTES})(*[0xAA] * {BYTES})
    code = getattr(names, name)(ctypes.c_void_p(7), data, *map(ctypes.c_long, words))
    told.append([code, bytes(data).hex()])
print(json.dumps(told))
"""

pytestmark = pytest.mark.asyncio


async def told(folder: Path, real: str, *calls: tuple[str | int, ...]) -> list[tuple[int, bytes]]:
    """What each call of a function by its name returns, and leaves in its buffer."""
    source = folder / "real.c"
    source.write_text(real, encoding="ascii")
    guard, other = folder / "guard.so", folder / "real.so"
    await process.run(library_argv(str(guard), str(SOURCE)))
    await process.run(library_argv(str(other), str(source)))
    said = await process.run(
        [sys.executable, "-c", CALLER, json.dumps(calls)],
        env={"LD_PRELOAD": f"{guard}{os.pathsep}{other}"},
    )
    return [(code, bytes.fromhex(data)) for code, data in json.loads(said.stdout)]


async def test_an_answer_that_never_comes_is_empty(tmp_path: Path) -> None:
    (whole,) = await told(tmp_path, DEAD, ("_XReply", 2, 0))
    assert whole == (0, bytes(BYTES))
    (head,) = await told(tmp_path, DEAD, ("_XReply", 0, 1))
    assert head == (0, bytes(32) + b"\xaa" * 8), "nothing behind it is touched"


async def test_a_head_that_is_not_read_is_neither_reply_nor_error_nor_event(tmp_path: Path) -> None:
    head, more = await told(tmp_path, DEAD, ("_XRead", 32), ("_XRead", 8))
    assert head == (-1, bytes([63]) + bytes(31) + b"\xaa" * 8)
    assert more == (-1, bytes(8) + b"\xaa" * 32)


async def test_received_bytes_are_handed_on(tmp_path: Path) -> None:
    read, reply = await told(tmp_path, ALIVE, ("_XRead", 32), ("_XReply", 2, 1))
    assert read == (0, bytes([32]) + bytes(31) + b"\xaa" * 8)
    assert reply == (1, bytes([1, 2, 1]) + bytes(37))
