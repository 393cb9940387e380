"""The library that gives GTK 4 the XInput 2 that nxagent lacks, before small ones in Xlib's place.

That GTK 4 programs draw themselves and take keys with it is tried by bench/programs.py.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from qvdnode.host import process
from qvdnode.image.core.recipe import library_argv

SOURCE = Path(__file__).parents[3] / "qvdnode/image/guest/gtk4-input.c"
XLIB = """
extern int printf(const char *format, ...);
typedef unsigned long Id;
typedef struct { int type; Id serial; int send_event; void *display; Id window, root, child, time;
    int x, y, root_x, root_y; unsigned state, detail; int same_screen; long room[9]; } Event;
static long masks[3];
int XQueryExtension(void *d, const char *name, int *a, int *b, int *c) { return PRESENT; }
int XIQueryVersion(void *d, int *major, int *minor) { return PRESENT ? 0 : 1; }
int XrmUniqueQuark(void) { static int last; return ++last; }
int XFindContext(void *d, Id w, int kind, char **found)
{ *found = (char *) masks[kind]; return !masks[kind]; }
int XSaveContext(void *d, Id w, int kind, const char *mask)
{ masks[kind] = (long) mask; return 0; }
int XSelectInput(void *d, Id window, long mask)
{ printf("select %lu %lx\\n", window, mask); return 1; }
int XGrabPointer(void *d, Id window, int owner, unsigned mask, int mode, int paired,
    Id confine, Id cursor, Id time)
{ printf("grab pointer %lu %x\\n", window, mask); return 0; }
int XGrabKeyboard(void *d, Id window, int owner, int paired, int mode, Id time)
{ printf("grab keyboard %lu\\n", window); return 0; }
int XNextEvent(void *d, Event *event)
{
    *event = (Event) { TYPE, 77, 0, d, 5, 1, 0, 1234, 10, 20, 110, 120, 1 << 9, 3, 1 };
    return 0;
}
int XGetEventData(void *d, void *cookie) { return 0; }
void XFreeEventData(void *d, void *cookie) { }
"""
GTK4 = "int gdk_surface_new_toplevel(void) { return 0; }\n"
CALLER = """
import ctypes, json, sys
names = ctypes.CDLL(None)
display = ctypes.c_void_p(7)
whole = [ctypes.c_int(-1) for _ in range(3)]
place = [ctypes.byref(one) for one in whole]
there = names.XQueryExtension(display, b"XInputExtension", *place)
other = names.XQueryExtension(display, b"SYNC", *place)
version = [ctypes.c_int(2), ctypes.c_int(4)]
failed = names.XIQueryVersion(display, *(ctypes.byref(one) for one in version))
class Wanted(ctypes.Structure):
    _fields_ = [("device", ctypes.c_int), ("size", ctypes.c_int), ("mask", ctypes.c_char_p)]
told = {"there": there, "other": other, "failed": failed,
        "version": [one.value for one in version]}
if not failed and sys.argv[1] == "helped":
    window = ctypes.c_ulong(5)
    keys_and_motion = Wanted(1, 2, bytes([0b01001100, 0]))
    names.XISelectEvents(display, window, ctypes.byref(keys_and_motion), 1)
    names.XSelectInput(display, window, ctypes.c_long(1 << 17))
    grab = [ctypes.c_ulong(0), ctypes.c_ulong(0), 1, 1, 1, ctypes.byref(keys_and_motion)]
    names.XIGrabDevice(display, 2, window, *grab)
    names.XIGrabDevice(display, 3, window, *grab)
event = (ctypes.c_long * 24)()
names.XNextEvent(display, event)
cookie = (ctypes.c_int * 48).from_buffer(event)
told["type"] = cookie[0]
if cookie[0] == 35:
    data = ctypes.cast(event[6], ctypes.POINTER(ctypes.c_int))
    told["has data"] = names.XGetEventData(display, event)
    numbers = ctypes.cast(event[6] + 88, ctypes.POINTER(ctypes.c_double))
    told["head"] = [data[n] for n in (8, 9, 12, 13, 14)]
    told["place"] = [numbers[n] for n in range(4)]
    names.XFreeEventData(display, event)
    told["freed"] = event[6] == 0
print(json.dumps(told))
"""

pytestmark = pytest.mark.asyncio


async def told(
    folder: Path, *, gtk4: bool = True, present: int = 0, kind: int = 2
) -> tuple[dict[str, Any], list[str]]:
    """What a program finds, and what Xlib was asked for."""
    source, library, xlib = folder / "xlib.c", folder / "input.so", folder / "xlib.so"
    text = f"#define PRESENT {present}\n#define TYPE {kind}\n{XLIB}{GTK4 if gtk4 else ''}"
    source.write_text(text, encoding="ascii")
    await process.run(library_argv(str(library), str(SOURCE)))
    await process.run(library_argv(str(xlib), str(source)))
    said = await process.run(
        [sys.executable, "-c", CALLER, "helped" if gtk4 and not present else "as it is"],
        env={"LD_PRELOAD": f"{library}:{xlib}"},
    )
    lines = said.stdout.decode().splitlines()
    found = next(line for line in lines if line.startswith("{"))
    return json.loads(found), sorted(line for line in lines if line != found)


async def test_gtk4_is_told_of_xinput_2_and_gets_it_by_core_requests(tmp_path: Path) -> None:
    found, asked = await told(tmp_path)
    assert (found["there"], found["other"]) == (1, 0)
    assert (found["failed"], found["version"]) == (0, [2, 0])
    assert asked == ["grab keyboard 5", "grab pointer 5 40", "select 5 20043", "select 5 43"]


@pytest.mark.parametrize(
    ("kind", "device", "source", "detail"), [(2, 3, 5, 3), (5, 2, 4, 3), (6, 2, 4, 0)]
)
async def test_events_come_in_the_form_of_xinput_2(
    tmp_path: Path, kind: int, device: int, source: int, detail: int
) -> None:
    found, _ = await told(tmp_path, kind=kind)
    assert found["type"] == 35
    assert found["has data"]
    assert found["head"] == [255, kind, device, source, detail]
    assert found["place"] == [110, 120, 10, 20]
    assert found["freed"]


async def test_other_events_stay_as_they_are(tmp_path: Path) -> None:
    assert (await told(tmp_path, kind=28))[0]["type"] == 28


async def test_programs_without_gtk4_find_everything_as_it_is(tmp_path: Path) -> None:
    found, asked = await told(tmp_path, gtk4=False)
    assert (found["there"], found["failed"], found["type"]) == (0, 1, 2)
    assert asked == []


async def test_a_display_that_has_xinput_2_is_left_alone(tmp_path: Path) -> None:
    found, asked = await told(tmp_path, present=1)
    assert (found["there"], found["failed"], found["type"]) == (1, 0, 2)
    assert asked == []
