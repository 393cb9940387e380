"""Session rows are written in the background, in order, and survive an outage."""

import asyncio
from typing import Any

from qvdnode.model.errors import Conflict, Unavailable
from qvdnode.model.ids import NodeId, UserId, VmId
from qvdnode.runtime.clock import SystemClock
from qvdnode.runtime.supervise import Supervisor
from qvdnode.session import journal
from qvdnode.session.journal import SessionJournal


class Rows:
    """A table that can be away."""

    def __init__(self) -> None:
        self.away = False
        self.written: list[tuple[str, Any]] = []
        self.refuse_next = False

    async def opened(
        self, vm_id: VmId, user_id: UserId, node_id: NodeId, *, source: str, client: str | None
    ) -> int:
        if self.away:
            raise Unavailable("away")
        if self.refuse_next:
            self.refuse_next = False
            raise Conflict("no such VM")
        self.written.append(("opened", (vm_id, user_id, node_id, source, client)))
        return len(self.written)

    async def closed(self, session_id: int, *, reason: str, bytes_in: int, bytes_out: int) -> None:
        if self.away:
            raise Unavailable("away")
        self.written.append(("closed", (session_id, reason, bytes_in, bytes_out)))


class Impatient(SystemClock):
    """Sleeps let others run and the database come back."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.slept = 0

    async def sleep(self, seconds: float) -> None:
        self.slept += 1
        if self.slept >= 3:
            self.rows.away = False
        await asyncio.sleep(0)


async def test_a_session_is_opened_and_closed() -> None:
    rows = Rows()
    book = SessionJournal(rows, lambda: NodeId(4), SystemClock())
    async with Supervisor("test") as tasks:
        _ = tasks.essential("journal", book.run())
        key = book.open(VmId(7), UserId(1), source="192.0.2.9", client="linux")
        book.close(key, reason="client closed", bytes_in=10, bytes_out=20)
        await book.flushed(5)
    assert rows.written == [
        ("opened", (7, 1, 4, "192.0.2.9", "linux")),
        ("closed", (1, "client closed", 10, 20)),
    ]


async def test_entries_wait_for_the_database_and_keep_their_order() -> None:
    rows = Rows()
    rows.away = True
    clock = Impatient(rows)
    book = SessionJournal(rows, lambda: NodeId(4), clock)
    async with Supervisor("test") as tasks:
        _ = tasks.essential("journal", book.run())
        first = book.open(VmId(1), UserId(1), source="a", client=None)
        book.open(VmId(2), UserId(1), source="b", client=None)
        book.close(first, reason="gone", bytes_in=0, bytes_out=0)
        await book.flushed(5)
    assert clock.slept == 3
    assert [(kind, what[0]) for kind, what in rows.written] == [
        ("opened", 1),
        ("opened", 2),
        ("closed", 1),
    ]


async def test_a_row_that_is_refused_does_not_stop_the_others() -> None:
    rows = Rows()
    rows.refuse_next = True
    book = SessionJournal(rows, lambda: NodeId(4), SystemClock())
    async with Supervisor("test") as tasks:
        _ = tasks.essential("journal", book.run())
        lost = book.open(VmId(1), UserId(1), source="a", client=None)
        book.close(lost, reason="gone", bytes_in=0, bytes_out=0)
        book.open(VmId(2), UserId(1), source="b", client=None)
        await book.flushed(5)
    assert [what[0] for _, what in rows.written] == [2]


async def test_what_does_not_fit_is_dropped(monkeypatch: Any) -> None:
    monkeypatch.setattr(journal, "WAITING_MAX", 2)
    book = SessionJournal(Rows(), lambda: NodeId(4), SystemClock())
    for number in range(5):
        book.open(VmId(number), UserId(1), source="a", client=None)
    assert len(book._backlog.waiting) == 2
