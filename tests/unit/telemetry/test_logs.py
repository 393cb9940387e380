import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvdnode.telemetry.correlation import correlated
from qvdnode.telemetry.logs import JsonFormatter, TextFormatter, setup

log = logging.getLogger("qvdnode.vm.fleet")


@pytest.fixture(autouse=True)
def _root_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("qvdnode")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def record(**fields: object) -> logging.LogRecord:
    return log.makeRecord(
        log.name, logging.INFO, __file__, 1, "guest_started", (), None, extra=fields
    )


def fail() -> None:
    raise ValueError("no such thing")


def written(style: str, **fields: object) -> str:
    out = io.StringIO()
    setup(style, stream=out)
    log.warning("guest_started", extra=fields)
    return out.getvalue()


def test_text_is_one_readable_line() -> None:
    line = written("text", vm=7, why="not enough memory")
    assert line.endswith('Z WARNING vm.fleet guest_started vm=7 why="not enough memory"\n')


def test_json_is_one_object() -> None:
    event = json.loads(written("json", vm=7))
    assert event["event"] == "guest_started"
    assert event["logger"] == "qvdnode.vm.fleet"
    assert event["level"] == "warning"
    assert event["vm"] == 7


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_the_correlation_id_is_on_every_line(formatter: logging.Formatter) -> None:
    with correlated("abc123"):
        assert "abc123" in formatter.format(record())
    assert "correlation" not in formatter.format(record())


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_secrets_are_never_written(formatter: logging.Formatter) -> None:
    line = formatter.format(record(password="hunter2", slave_key="hunter3", token="hunter4"))
    assert "hunter" not in line


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_an_exception_stays_on_its_line(formatter: logging.Formatter) -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    log.addHandler(handler)
    try:
        fail()
    except ValueError:
        log.exception("task_failed")
    finally:
        log.removeHandler(handler)
    assert out.getvalue().count("\n") == 1
    assert "ValueError: no such thing" in out.getvalue()
    assert "Traceback" in out.getvalue()


def test_the_level_is_obeyed() -> None:
    out = io.StringIO()
    setup("text", "error", stream=out)
    log.warning("guest_started")
    assert out.getvalue() == ""


def test_the_debugging_of_libraries_is_left_out() -> None:
    out = io.StringIO()
    setup("text", "debug", stream=out)
    logging.getLogger("asyncio").debug("Using selector: EpollSelector")
    log.debug("lines_read")
    assert "lines_read" in out.getvalue()
    assert "selector" not in out.getvalue()


def test_a_field_cannot_pass_for_the_event() -> None:
    assert json.loads(JsonFormatter().format(record(event="forged")))["event"] == "guest_started"


@given(st.text())
def test_a_guest_cannot_forge_a_line(text: str) -> None:
    assert len(TextFormatter().format(record(said=text)).splitlines()) == 1
    assert json.loads(JsonFormatter().format(record(said=text)))["said"] == text
