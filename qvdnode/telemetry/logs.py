"""The log: one event a line, as text for a person or as JSON for a machine.

An event has a constant name and fields (`log.info("guest_started", extra={"vm": 7})`); the
correlation id is added here. Fields named like a secret are never written.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

from qvdnode.telemetry.correlation import correlation_id

PACKAGE_PREFIX: Final = "qvdnode."
HIDDEN: Final = "***"
SECRET_FIELDS: Final = frozenset(
    {"password", "token", "auth_token", "authorization", "slave_key", "cookie", "secret"}
)
OWN_ATTRIBUTES: Final = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
}
"""Attributes of every LogRecord; all others came in through `extra`."""


def setup(
    format: Literal["text", "json"] | str = "text",  # noqa: A002 - the config's own word
    level: str = "info",
    *,
    stream: TextIO | None = None,
) -> None:
    """Send the log of the whole program to `stream` (default stderr), replacing other handlers."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries log too much at debug level.
    root.setLevel(max(logging.INFO, getattr(logging, level.upper())))
    logging.getLogger(PACKAGE_PREFIX.removesuffix(".")).setLevel(level.upper())


def event_fields(record: logging.LogRecord) -> dict[str, Any]:
    """The fields of an event: `extra`, the correlation id, the exception; secrets hidden."""
    given = {key: value for key, value in vars(record).items() if key not in OWN_ATTRIBUTES}
    found: dict[str, Any] = {
        key: HIDDEN if key in SECRET_FIELDS else value for key, value in given.items()
    }
    if identity := correlation_id.get():
        found.setdefault("correlation", identity)
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        found["error"] = f"{type(error).__name__}: {error}"
        found["trace"] = logging.Formatter().formatException(record.exc_info)
    return found


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, event, then the event's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its newline."""
        head = {
            "time": _timestamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        return json.dumps({**head, **event_fields(record), **head}, default=str)


class TextFormatter(logging.Formatter):
    """`time LEVEL package event key=value ...`; values with blanks or control signs are quoted."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its newline."""
        logger = record.name.removeprefix(PACKAGE_PREFIX)
        head = f"{_timestamp(record)} {record.levelname:<7} {logger} {_value(record.getMessage())}"
        return head + _pairs(event_fields(record))


def _pairs(fields: Mapping[str, object]) -> str:
    return "".join(f" {key}={_value(value)}" for key, value in fields.items())


def _value(value: object) -> str:
    """The value as one word or as a quoted string: never a line break, never an ambiguous end."""
    text = str(value)
    plain = text.isprintable() and not any(sign in text for sign in ' "=')
    return text if plain and text else json.dumps(text, ensure_ascii=not text.isprintable())


def _timestamp(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
