"""Records what the cores of a test's VMs get and return, and plays it to fresh cores.

A core that looked at a clock, at another object, or at chance would not come to the same effects
and the same state again.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from qvdnode.vm.core.desktop import Desktop
from qvdnode.vm.core.effects import Effect
from qvdnode.vm.core.messages import Message, Moment


@dataclass
class Life:
    """One core from its making on."""

    newborn: Desktop
    core: Desktop
    turns: list[tuple[Message, Moment, str]] = field(default_factory=list)
    """Each message, when it came, and the effects as text: errors are equal by their text alone."""

    def replay(self) -> None:
        """Play the messages to a fresh core and compare."""
        for number, (message, moment, effects) in enumerate(self.turns):
            again = repr(self.newborn.handle(message, moment))
            assert again == effects, f"message {number}, {message}, has other effects"
        assert repr(self.newborn) == repr(self.core), "the state is another one"


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Life]]:
    """Record every core that handles a message inside; replay those of the list at the end."""
    lives: list[Life] = []
    known: dict[int, Life] = {}
    handle = Desktop.handle

    def record(core: Desktop, message: Message, now: Moment) -> list[Effect]:
        if id(core) not in known:
            known[id(core)] = Life(copy.deepcopy(core), core)
            lives.append(known[id(core)])
        effects = handle(core, message, now)
        known[id(core)].turns.append((message, now, repr(effects)))
        return effects

    with monkeypatch.context() as patched:
        patched.setattr(Desktop, "handle", record)
        yield lives
    for life in lives:
        life.replay()
