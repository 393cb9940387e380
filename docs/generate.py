"""Writes the pages that are drawn from the code: `make docs`. tests/test_generated.py compares."""

import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from prometheus_client import REGISTRY, Metric

import qvdnode
from docs.cli_page import cli_page
from docs.config_page import config_page
from docs.members_page import members_page
from docs.source_notes import one_line
from docs.states_page import states_page
from qvdnode.admin import openapi
from qvdnode.model.errors import FarmError

FOLDER: Final = Path(__file__).parent
NOTE: Final = "<!-- Drawn from the code: change that and run `make docs`. -->\n"
FOREIGN_METRICS: Final = ("python_", "process_", "qvdnode_test_")


def errors_page() -> str:
    """The codes that REST answers, logs and our client use."""
    import_everything()
    kinds = sorted(
        (kind for kind in below(FarmError) if "code" in vars(kind)), key=lambda kind: kind.code
    )
    rows = [f"| `{kind.code}` | {one_line(inspect.getdoc(kind))} |" for kind in kinds]
    head = (
        "# Error codes\n\nStable words for what went wrong; the message beside one is for people.\n"
    )
    return "\n".join([head, "| code | meaning |", "|---|---|", *rows, ""])


def metrics_page() -> str:
    """Every metric that `/metrics` shows."""
    import_everything()
    found = sorted(
        (exposed_name(metric), metric.type, labels_of(collector), metric.documentation.rstrip("."))
        for collector in set(REGISTRY._collector_to_names)  # noqa: SLF001 - there is no other list
        for metric in collector.collect()
        if not metric.name.startswith(FOREIGN_METRICS)
    )
    rows = [f"| `{name}` | {kind} | {labels} | {text} |" for name, kind, labels, text in found]
    head = """\
# Metrics

`GET /metrics` on the administrators' port, in Prometheus' text format, from loopback or with a
bearer token. Those of the process (`process_*`, `python_*`) come along.
"""
    return "\n".join([head, "| metric | kind | labels | meaning |", "|---|---|---|---|", *rows, ""])


def openapi_file() -> str:
    """The REST interface, for programs."""
    return json.dumps(openapi.document(), indent=1, ensure_ascii=False) + "\n"


def import_everything() -> None:
    """Load every module, so that what they declare on import is known."""
    for module in pkgutil.walk_packages(qvdnode.__path__, "qvdnode."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def below(kind: type[FarmError]) -> Iterator[type[FarmError]]:
    """Every error class under this one."""
    for child in kind.__subclasses__():
        yield child
        yield from below(child)


def exposed_name(metric: Metric) -> str:
    """The name as it is scraped."""
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def labels_of(collector: object) -> str:
    """The label names of a metric."""
    return ", ".join(f"`{label}`" for label in getattr(collector, "_labelnames", ()))


PAGES: Final[dict[str, Callable[[], str]]] = {
    "cli.md": cli_page,
    "config.md": config_page,
    "errors.md": errors_page,
    "member-states.md": members_page,
    "metrics.md": metrics_page,
    "openapi.json": openapi_file,
    "vm-states.md": states_page,
}


def content(name: str) -> str:
    """What the file of that name should hold."""
    return PAGES[name]() if name.endswith(".json") else NOTE + PAGES[name]()


def main() -> int:
    """Write what differs."""
    for name in PAGES:
        path, text = FOLDER / name, content(name)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
