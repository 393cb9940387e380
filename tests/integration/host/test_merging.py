from pathlib import Path

import pytest

from qvdnode.host import merging, process
from tests.waiting import until

pytestmark = pytest.mark.skipif(merging.obstacle() is not None, reason=str(merging.obstacle()))


async def test_a_program_and_what_it_starts_let_their_memory_be_merged(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path}/child; wait"
    started = await process.launch(merging.argv(["/bin/sh", "-c", script]))
    plain = await process.launch(["sleep", "60"])
    try:
        note = tmp_path / "child"
        await until(lambda: note.exists() and note.read_text(encoding="ascii").strip())
        child = int(note.read_text(encoding="ascii"))
        assert merging.merges(started.pid)
        await until(lambda: merging.merges(child), what="the child's exec")
        assert not merging.merges(plain.pid), "this process, which started it, must not be merged"
        assert not merging.merges(0)
    finally:
        for one in (started, plain):
            await process.end_all(one, grace_s=0)


async def test_arguments_and_the_exit_code_are_the_programs_own() -> None:
    finished = await process.run(
        merging.argv(["/bin/sh", "-c", 'printf "%s|" "$@"; exit 3', "sh", "a b", "--", "-e"]),
        check=False,
    )
    assert (finished.returncode, finished.stdout) == (3, b"a b|--|-e|")


async def test_a_program_that_is_missing_is_an_error() -> None:
    assert (await process.run(merging.argv(["/no/such"]), check=False)).returncode == 127


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("PERL", Path("/no/perl"), "not installed"), ("_PRCTL", {}, "is not known")],
)
def test_what_is_in_the_way_is_said(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object, words: str
) -> None:
    monkeypatch.setattr(merging, name, value)
    assert words in (merging.obstacle() or "")
