"""Answers, byte for byte as the old clients need them."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.model.desktop import DesktopEntry
from qvdnode.model.ids import VmId
from qvdnode.model.vm_state import WireState
from qvdnode.wire.qvd_answers import (
    CHALLENGE,
    PROGRESS_MAX,
    REASONS,
    Answer,
    desktop_list,
    json_object,
    progress_head,
    sentence,
    upgrade_head,
)


def test_a_list_is_as_in_the_original() -> None:
    entry = DesktopEntry(VmId(7), "desk", WireState.STOPPED, blocked=False, is_application=False)
    body = b'[{"id": 7, "name": "desk", "state": "stopped", "blocked": 0, "is_application": 0}]'
    assert desktop_list([entry]).encode() == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 82\r\n\r\n" + body
    )


def test_an_empty_list_is_legal() -> None:
    assert desktop_list([]).body == b"[]"


@given(st.text(), st.booleans(), st.booleans())
def test_any_name_makes_valid_json(name: str, blocked: bool, application: bool) -> None:
    entry = DesktopEntry(
        VmId(1), name, WireState.RUNNING, blocked=blocked, is_application=application
    )
    [row] = json.loads(desktop_list([entry]).body)
    assert row == {
        "id": 1,
        "name": name,
        "state": "running",
        "blocked": int(blocked),
        "is_application": int(application),
    }


@pytest.mark.parametrize("status", REASONS)
def test_heads_are_what_strict_readers_take(status: int) -> None:
    encoded = sentence(status, "Why not.", CHALLENGE).encode(last=True)
    head, _, body = encoded.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")
    assert b"Connection: close" in head.split(b"\r\n")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n")[1:]]
    assert all(re.fullmatch(rb"[A-Za-z-]+", name) for name in names)


def test_a_kept_connection_says_nothing_about_closing() -> None:
    assert b"close" not in Answer(200, b"").encode()


@given(st.text())
def test_a_progress_sentence_cannot_break_the_head(text: str) -> None:
    head = progress_head(text)
    assert re.fullmatch(rb"HTTP/1\.1 102 Processing\r\nX-QVD-VM-Info: [!-~][ -~]*\r\n\r\n", head)
    assert len(head) < PROGRESS_MAX + 60


def test_the_101_carries_the_key_under_its_exact_name() -> None:
    assert b"\r\nX-QVD-Slave-Key: " + b"k" * 64 + b"\r\n" in upgrade_head("k" * 64)


@pytest.mark.parametrize("key", ["", "a\r\nb", "é"])
def test_a_key_is_of_letters_and_digits(key: str) -> None:
    with pytest.raises(ValueError, match="letters and digits"):
        upgrade_head(key)


def test_json_objects() -> None:
    assert json_object(auth_params_id=5, auth_token="YQ==\n").body == (
        b'{"auth_params_id": 5, "auth_token": "YQ==\\n"}'
    )
