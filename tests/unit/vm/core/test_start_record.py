import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.errors import Invalid
from qvdnode.model.ids import Generation, VmId
from qvdnode.vm.core.guest_limits import GuestLimit, LimitReached
from qvdnode.vm.core.start_record import StartRecord, decode, encode, text_of

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RECORD = StartRecord(VmId(7), Generation(3), AT, "You logged out.", failed=False, log="a\n\nb\n")


@given(st.text())
def test_a_record_is_read_as_it_was_written(log: str) -> None:
    record = replace(RECORD, log=log.encode(errors="replace").decode())
    assert decode(encode(record)) == record


def test_it_tells_which_limits_were_reached() -> None:
    limits = (LimitReached(GuestLimit.MEMORY, 2, AT), LimitReached(GuestLimit.PIDS, 9, None))
    record = replace(RECORD, limits=limits)
    assert decode(encode(record)) == record


def test_a_record_of_an_earlier_release_has_no_limits() -> None:
    body = json.loads(encode(RECORD))
    del body["limits"]
    assert decode(json.dumps(body).encode()) == RECORD


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"version": 2}', b'{"version": 1}'])
def test_a_damaged_record_is_refused(content: bytes) -> None:
    with pytest.raises(Invalid):
        decode(content)


def test_the_last_lines_are_those_that_hold_anything() -> None:
    assert RECORD.last_lines == ["a", "b"]
    assert replace(RECORD, log="\n".join("abcdefg")).last_lines == list("cdefg")


def test_past_logs_come_before_the_present_one_each_with_its_reason() -> None:
    assert text_of([], "now\n") == "now\n"
    text = text_of([RECORD, replace(RECORD, generation=Generation(4))], "running\n")
    assert text.splitlines()[0] == "--- start 3, ended at 2026-01-02 03:04:05 UTC: You logged out."
    assert text.index("start 3") < text.index("start 4") < text.index("--- now\nrunning")
    assert "now" not in text_of([RECORD], None)
