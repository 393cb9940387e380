"""The sandbox of a browser's display: what it may see and use."""

import pytest

from qvdnode.desk.core.flags import (
    BUBBLEWRAP,
    SIZE_MAX,
    SIZE_MIN,
    DeskFlags,
    held_back,
    sandboxed,
    script,
    within,
    xvnc_words,
)

FLAGS = DeskFlags(uid=1_234_567, folder="/run/desks/x-1", rfb=9, width=800, height=600)


def test_it_runs_as_the_user_id_before_anything_else_happens() -> None:
    words = sandboxed(FLAGS)
    assert words[0] == "setpriv"
    before = words[: words.index(BUBBLEWRAP)]
    assert {"--reuid=1234567", "--regid=1234567", "--clear-groups", "--no-new-privs"} <= set(before)


def test_it_has_no_network_no_capability_and_no_namespace_to_make() -> None:
    words = sandboxed(FLAGS)
    assert {"--unshare-all", "--disable-userns", "--die-with-parent"} <= set(words)
    assert "--share-net" not in words
    assert words[words.index("--cap-drop") + 1] == "ALL"


def test_it_can_write_in_memory_and_in_the_folder_of_its_sockets_only() -> None:
    words = sandboxed(FLAGS)
    bound = [words[at + 1] for at, word in enumerate(words) if word == "--bind"]
    assert bound == ["/run/desks/x-1/x11"]
    read = [words[at + 1] for at, word in enumerate(words) if word.startswith("--ro-bind")]
    assert "/run/desks/x-1/nx" in read
    assert not [path for path in read if path.startswith(("/home", "/root", "/var", "/proc"))]


def test_xvnc_listens_nowhere() -> None:
    words = xvnc_words(FLAGS)
    listening = [words[at + 1] for at, word in enumerate(words) if word == "-nolisten"]
    assert listening == ["tcp", "local"]
    assert "-inetd" in words
    assert not [word for word in words if word.startswith("-rfbport")]


@pytest.mark.parametrize("allowed", [True, False])
def test_the_clipboard_is_off_where_the_node_says_so(allowed: bool) -> None:
    flags = DeskFlags(1, "/f", 9, 800, 600, clipboard_in=allowed, clipboard_out=not allowed)
    words = xvnc_words(flags)
    assert f"-AcceptCutText={int(allowed)}" in words
    assert f"-SendCutText={int(not allowed)}" in words


def test_xvnc_alone_has_the_socket_of_rfb() -> None:
    first, second, *_ = script(FLAGS).splitlines()
    assert first.endswith("<&9 9<&- &")
    assert second == "exec 9<&-"


def test_a_size_is_brought_within_what_a_display_can_have() -> None:
    assert within(800, 600) == (800, 600)
    assert within(1, 1) == SIZE_MIN
    assert within(20_000, 20_000) == SIZE_MAX


def test_a_command_that_is_held_back_gets_its_words_as_they_are() -> None:
    assert held_back(["a b", "$c"])[-3:] == ["sh", "a b", "$c"]
