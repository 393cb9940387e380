"""Writes a demo's progress: sentences for people, or one JSON object per line for programs."""

import json
import sys

from rich.console import Console
from rich.markup import escape

from qvdnode.runtime.clock import Clock
from qvdnode.wire.plain_text import printable, printable_lines


class Report:
    """Reports the steps of a demo and the duration of each."""

    def __init__(self, clock: Clock, *, as_json: bool) -> None:
        self._clock = clock
        self._json = as_json
        self._console = Console(highlight=False)
        self._began_s = clock.monotonic_s()
        self._step_s = self._began_s
        self.steps: dict[str, float] = {}

    @property
    def elapsed_s(self) -> float:
        """Seconds since the demo began."""
        return self._clock.monotonic_s() - self._began_s

    def doing(self, sentence: str) -> None:
        """Report what is being done."""
        if self._json:
            self.event("progress", text=sentence)
        else:
            self._show(f"[dim]{self.elapsed_s:7.2f} s  {escape(printable(sentence))}[/dim]")

    def begin_step(self) -> None:
        """Count the next step from now on, since nothing was done until now."""
        self._step_s = self._clock.monotonic_s()

    def done(self, step: str, sentence: str) -> None:
        """Report a finished step; its duration counts from the end of the step before."""
        now_s = self._clock.monotonic_s()
        self.steps[step] = round(now_s - self._step_s, 3)
        self._step_s = now_s
        if self._json:
            self.event("step", step=step, seconds=self.steps[step], text=sentence)
        else:
            took = f"[dim]({self.steps[step]:.2f} s)[/dim]"
            self._show(f"{self.elapsed_s:7.2f} s  {escape(printable(sentence))} {took}")

    def event(self, name: str, **fields: object) -> None:
        """Report a fact to programs; people do not see it."""
        if self._json:
            sys.stdout.write(json.dumps({"event": name, **fields}) + "\n")
            sys.stdout.flush()

    def say(self, text: str) -> None:
        """A passage for people; programs are not told."""
        if not self._json:
            self._show(escape(printable_lines(text)))

    def _show(self, text: str) -> None:
        # A terminal may fold a line: a path that is broken by us could not be copied.
        self._console.print(text, soft_wrap=True)
