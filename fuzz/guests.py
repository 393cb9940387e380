"""Files that guests write and the node reads, and files that the node writes for guests."""

import contextlib
from typing import Final

from fuzz.target import Target, pieces
from qvdnode.cli.image_check import facts
from qvdnode.model.errors import Invalid
from qvdnode.model.guest import HostNeed
from qvdnode.vm.core import balloon
from qvdnode.vm.core.agent_lines import AnswerReader, Flood
from qvdnode.vm.core.display_pid import parse_pid
from qvdnode.vm.core.machine_console import TAIL_MAX, killed, verdict
from qvdnode.vm.core.nxagent_log import LogParser
from qvdnode.vm.core.qmp_codec import BadMessage, Done, Message, MessageReader
from qvdnode.wire import session_params


def session_parameters(data: bytes) -> None:
    """A parsed parameters file is written back the same."""
    with contextlib.suppress(Invalid):
        params = session_params.decode(data)
        if session_params.decode(session_params.encode(params)) != params:
            raise AssertionError(params)


def probe_facts(data: bytes) -> None:
    """What a guest prints of itself is of known keys, short, and can be printed."""
    for key, value in facts.parse(data).items():
        if key not in facts.KEYS or not value.isprintable() or len(value) > facts.VALUE_MAX:
            raise AssertionError(key)


def display_log(data: bytes) -> None:
    """A guest may write anything into its log."""
    parser = LogParser()
    for at in range(0, len(data), 7):
        parser.feed(data[at : at + 7])


def display_pids(data: bytes) -> None:
    """No number that a guest writes names more than one process."""
    if (pid := parse_pid(data)) is not None and not 0 < pid < 1 << 24:
        raise AssertionError(pid)


def machine_answers(data: bytes) -> None:
    """The agent in a machine may write anything; a flood is noticed."""
    reader = AnswerReader()
    with contextlib.suppress(Flood):
        for piece in pieces(data):
            for answer in reader.feed(piece):
                if not 0 <= answer.code < 1000:
                    raise AssertionError(answer)


def qemu_messages(data: bytes) -> None:
    """A QEMU that its guest has taken over may write anything."""
    reader = MessageReader()
    with contextlib.suppress(BadMessage):
        for piece in pieces(data):
            for message in reader.feed(piece):
                balloon_answer(message)


def balloon_answer(message: Message) -> None:
    """What a machine tells of its memory never takes more of it than the policy lets."""
    answer = message.answer if isinstance(message, Done) else None
    with contextlib.suppress(ValueError):
        now = balloon.figures(1024, answer, answer)
        if not min(now.actual_mib, 409) <= balloon.target_mib(now, now, HostNeed.SQUEEZED) <= 1024:
            raise AssertionError(answer)


def machine_console(data: bytes) -> None:
    """What is told of a console is short and can be printed."""
    said = verdict(data)
    if len(said) > TAIL_MAX or not said.isprintable() or killed(data) < 0:
        raise AssertionError(said)


TARGETS: Final[dict[str, Target]] = {
    "session_parameters": Target(session_parameters, (b"LINK=6c616e\nLOGIN=616c696365\n",)),
    "machine_answers": Target(machine_answers, (b"0a 0\n0b 255\n",)),
    "qemu_messages": Target(
        qemu_messages,
        (
            b'{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}}}\r\n',
            b'{"return": {}, "id": 1}\r\n{"event": "RESUME"}\r\n',
            b'{"return":{"actual":9,"last-update":9,"stats":{"stat-major-faults":7}},"id":2}\r\n',
        ),
        weight=2,
    ),
    "machine_console": Target(
        machine_console,
        (b"[1.0] Kernel panic - not syncing: x\n[2.0] Out of memory: Killed process 1",),
    ),
    "display_pids": Target(display_pids, (b"4711\n",)),
    "probe_facts": Target(
        probe_facts, (b"lang=C.UTF-8\nfont_latin=DejaVu Sans\nlocker=slock\nlocker=xlock\n",)
    ),
    "display_log": Target(
        display_log,
        (b"Session: Session started at 'x'\nSession: Session suspended at\n",),
        weight=2,
    ),
}
