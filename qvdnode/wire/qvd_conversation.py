"""State machine of one QVD client connection, from the first head to the NX stream. No I/O.

Rule 1: each change of the state is a row of TRANSITIONS; any other event is a bug of the caller.
Rule 2: each call that returns bytes returns exactly one head (and its body), to be written by
itself: the C library looks at what one read gave it and throws the rest away.
"""

from enum import StrEnum, auto
from typing import Final

from qvdnode.wire.qvd1 import PIPELINED_BYTES_MAX, BadHead, HeadParser, RequestHead
from qvdnode.wire.qvd_answers import Answer, progress_head, sentence, upgrade_head


class State(StrEnum):
    """Whose turn it is."""

    READING = auto()
    """The client's: it sends a head."""
    ANSWERING = auto()
    """Ours: a request is being worked on."""
    WAITING = auto()
    """Ours, and the client has been told so by a 102."""
    UPGRADED = auto()
    """The bytes are an NX stream now."""
    CLOSING = auto()
    """Nothing more will be read or answered."""


class Event(StrEnum):
    """What can happen."""

    HEAD = auto()
    REFUSED = auto()
    PROGRESS = auto()
    ANSWER = auto()
    LAST_ANSWER = auto()
    UPGRADE = auto()
    CLIENT_LEFT = auto()


TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    State.READING: {
        Event.HEAD: State.ANSWERING,
        Event.REFUSED: State.CLOSING,
        Event.CLIENT_LEFT: State.CLOSING,
    },
    State.ANSWERING: {
        Event.PROGRESS: State.WAITING,
        Event.ANSWER: State.READING,
        Event.LAST_ANSWER: State.CLOSING,
        Event.UPGRADE: State.UPGRADED,
        Event.REFUSED: State.CLOSING,
        Event.CLIENT_LEFT: State.CLOSING,
    },
    State.WAITING: {
        Event.PROGRESS: State.WAITING,
        Event.ANSWER: State.READING,
        Event.LAST_ANSWER: State.CLOSING,
        Event.UPGRADE: State.UPGRADED,
        Event.REFUSED: State.CLOSING,
        Event.CLIENT_LEFT: State.CLOSING,
    },
    State.UPGRADED: {Event.CLIENT_LEFT: State.CLOSING},
    State.CLOSING: {Event.CLIENT_LEFT: State.CLOSING, Event.REFUSED: State.CLOSING},
}


class Conversation:
    """The machine of one connection."""

    def __init__(self) -> None:
        self.state = State.READING
        self._parser = HeadParser()
        self._close_after = False

    def receive(self, data: bytes) -> RequestHead | None:
        """Take bytes of the client; a request if its head is now whole and it is its turn.

        Raises BadHead; then `refuse` gives the answer and the connection is over.
        """
        if self.state is State.CLOSING:
            return None
        self._parser.feed(data)
        return self.next_request()

    def next_request(self) -> RequestHead | None:
        """A request that was sent before the last answer, if it is whole; raises BadHead."""
        if self.state is not State.READING:
            self._check_pipelined()
            return None
        head = self._parser.next_head()
        if head is None:
            return None
        self._close_after = head.wants_close
        self._move(Event.HEAD)
        self._check_pipelined()
        return head

    def progress(self, text: str) -> bytes:
        """A 102 for the request being answered."""
        self._move(Event.PROGRESS)
        return progress_head(text)

    def answer(self, answer: Answer) -> bytes:
        """The final answer; the state tells whether another request may follow."""
        self._move(Event.LAST_ANSWER if self._close_after else Event.ANSWER)
        return answer.encode(last=self._close_after)

    def upgrade(self, slave_key: str) -> bytes:
        """The 101; what the client sent after its request is in `take_stream`."""
        self._move(Event.UPGRADE)
        return upgrade_head(slave_key)

    def take_stream(self) -> bytes:
        """The first bytes of the NX stream, if the client did not wait for the 101."""
        return self._parser.take_rest()

    def refuse(self, error: BadHead) -> bytes:
        """The answer to what is not a request; nothing is read after it."""
        self._move(Event.REFUSED)
        return sentence(error.status, str(error)).encode(last=True)

    def client_left(self) -> None:
        """The client closed its side or vanished."""
        self._move(Event.CLIENT_LEFT)

    @property
    def mid_head(self) -> bool:
        """Whether a head has begun and not ended."""
        return self.state is State.READING and self._parser.waiting_bytes > 0

    def _check_pipelined(self) -> None:
        if self._parser.waiting_bytes > PIPELINED_BYTES_MAX:
            raise BadHead(400, "Too much was sent before the answer.")

    def _move(self, event: Event) -> None:
        self.state = TRANSITIONS[self.state][event]
