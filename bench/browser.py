"""Measures a desktop in real Chromium: the way there and back, the echo of a key, its memory.

`takeover_p50_s` is the time from the navigation to the page of a running desktop, which a native
client shows, to the first painted canvas; `back_p50_s` from the native client's request to its
window. `echo_*` is the time from a key event in the page to the next picture on the canvas, with a
terminal that echoes. `pss_mib_800` is the memory of the whole sandbox (proportional set size).

Without a graphics card Chromium draws in software and needs processor time of its own, so the times
of takeover and echo hold a browser's share; there is no floor for it.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from bench import options, results_file
from bench.desk_node import Stage, percentile, shown, stage
from bench.options import Options
from bench.results_file import Figure, median
from bench.running import run
from qvdnode.desk.sandbox import group_of
from qvdnode.host.cgroups import probe
from tests.e2e.guest_processes import in_guest, pids_by_name
from tests.harness.chromium import Browser, Tab, chromium
from tests.harness.farm import Desk
from tests.harness.web_desktop import DRAWN, WebDesktop, base_of, log_in
from tests.waiting import until

ROUNDS: Final = 9
KEYS: Final = 60
LIMIT_S: Final = 120.0
SIZE: Final = (1280, 800)
PAINTED: Final = f"""new Promise((done) => {{
  const look = () => ({DRAWN}) && document.documentElement.dataset.shown
    ? done(performance.now()) : requestAnimationFrame(look);
  look();
}})"""
ECHO: Final = """new Promise((done) => {
  const canvas = document.querySelector("#screen canvas");
  const context = canvas.getContext("2d");
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  let began = 0;
  context.drawImage = function (...words) {
    draw.apply(this, words);
    if (!began) return;
    const took = performance.now() - began;
    began = 0;
    delete this.drawImage;
    done(took);
  };
  const fact = { code: "KeyA", key: "a", bubbles: true, cancelable: true };
  began = performance.now();
  canvas.dispatchEvent(new KeyboardEvent("keydown", fact));
  canvas.dispatchEvent(new KeyboardEvent("keyup", fact));
})"""
"""Milliseconds from a key to the next picture."""
REST_S: Final = 0.15
"""Between two keys, so that the picture of the last one has been drawn."""


def pss_mib(pids: set[int]) -> float:
    """The proportional set size of these processes together."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


async def into_browser(tab: Tab, desk: Desk) -> float:
    """Open the desktop in the tab; seconds from the navigation to the first picture."""
    await tab.goto(f"{base_of(desk)}/my/desktop?id={desk.vm_id}")
    return float(await tab.run(PAINTED)) / 1000


async def echoes(opened: WebDesktop) -> list[float]:
    """Milliseconds of each key's echo in a terminal."""
    desk = opened.desk
    in_guest(desk, "DISPLAY=:100 setsid xterm -geometry 100x40+10+10 -e cat >/dev/null 2>&1 &")
    await until(lambda: "cat" in pids_by_name(desk, {"cat"}), limit_s=LIMIT_S, what="a terminal")
    await opened.click(200, 200)
    await asyncio.sleep(1)
    found = []
    for _ in range(KEYS):
        found.append(float(await opened.tab.run(ECHO)))
        await asyncio.sleep(REST_S)
    return found


async def one_browser(on: Stage, browser: Browser, rounds: int) -> dict[str, Any]:
    """All figures of one desktop that moves there and back."""
    desk = on.desks[0]
    tab = await log_in(browser, desk)
    await tab.size(*SIZE)
    there: list[float] = []
    back: list[float] = []
    echo: list[float] = []
    pss = 0.0
    for number in range(rounds + 1):
        began = time.monotonic()
        async with shown(desk, on):
            await on.watcher.wait_new(LIMIT_S)
            back.append(time.monotonic() - began)
            there.append(await into_browser(tab, desk))
        if number == rounds:
            pss = pss_mib(probe().processes(group_of(f"{desk.node.prefix}qvd")))
            echo = await echoes(WebDesktop(tab, desk))
    # The first time, the desktop starts and the browser has nothing in its cache.
    return {"there": there[1:], "back": back[1:], "echo": echo, "pss": pss}


async def measure(wanted: Options) -> None:
    """Several moves of one desktop."""
    with tempfile.TemporaryDirectory(prefix="qvd-bench-") as profile:
        flags = ("--ignore-certificate-errors", "--accept-lang=en-US")
        async with stage(1) as on, chromium(Path(profile), *flags) as browser:
            found = await one_browser(on, browser, wanted.rounds)
    results_file.report(
        "browser",
        {
            "takeover_p50_s": median(found["there"]),
            "back_p50_s": median(found["back"]),
            "echo_p50_ms": median(found["echo"]),
            "echo_p95_ms": Figure(percentile(found["echo"], 0.95), found["echo"]),
            "pss_mib_800": median([found["pss"]]),
        },
        {"moves": found},
        wanted,
    )


def main() -> None:
    """Measure and write bench/results/browser.json."""
    run(measure(options.parsed(__doc__, rounds=ROUNDS)))


if __name__ == "__main__":
    main()
