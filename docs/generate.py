"""Writes the pages that are drawn from the code: `make docs`. tests/test_generated.py compares."""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from prometheus_client import REGISTRY

import qvdnode
from qvdnode.model import errors

FOLDER: Final = Path(__file__).parent
NOTE: Final = (
    "<!-- Written by docs/generate.py from the code; change that and run `make docs`. -->\n"
)
PROCESS_METRICS: Final = ("python_", "process_")


def errors_page() -> str:
    """The codes that REST answers, logs and our client use."""
    rows = [
        f"| `{kind.code}` | {one_line(inspect.getdoc(kind))} |"
        for kind in vars(errors).values()
        if inspect.isclass(kind)
        and issubclass(kind, errors.FarmError)
        and kind is not errors.FarmError
    ]
    head = (
        "# Error codes\n\nStable words for what went wrong; the message beside it is for people.\n"
    )
    return "\n".join([NOTE + head, "| code | meaning |", "|---|---|", *rows, ""])


def metrics_page() -> str:
    """Every metric that `/metrics` shows."""
    for module in pkgutil.walk_packages(qvdnode.__path__, "qvdnode."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = sorted(
        (metric.name, metric.type, metric.documentation, labels_of(collector))
        for collector in set(REGISTRY._collector_to_names)  # noqa: SLF001 - there is no other list
        for metric in collector.collect()
        if not metric.name.startswith((*PROCESS_METRICS, "qvdnode_test_"))
    )
    rows = [f"| `{name}` | {kind} | {labels} | {text} |" for name, kind, text, labels in found]
    head = (
        "# Metrics\n\n`GET /metrics` on the administrators' port, in Prometheus' text format, from"
        " loopback or\nwith a bearer token. Counters end in `_total` there. Those of the Python"
        " process (`process_*`,\n`python_*`) come along.\n"
    )
    table = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    return "\n".join([NOTE + head, *table, *rows, ""])


def labels_of(collector: object) -> str:
    """The label names of a metric, for people."""
    return ", ".join(f"`{label}`" for label in getattr(collector, "_labelnames", ()))


def one_line(text: str | None) -> str:
    """A docstring as one table cell."""
    return " ".join((text or "").split()).replace("|", "\\|")


PAGES: Final[dict[str, Callable[[], str]]] = {
    "errors.md": errors_page,
    "metrics.md": metrics_page,
}


def main() -> int:
    """Write what differs."""
    for name, page in PAGES.items():
        path, text = FOLDER / name, page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
