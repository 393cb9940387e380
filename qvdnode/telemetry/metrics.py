"""The metrics registry: each metric is declared at the top of the file that moves it.

Names start with `qvdnode_`; docs/metrics.md lists them all.
"""

from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
"""Content type of `/metrics`."""

__all__ = ["CONTENT_TYPE", "Counter", "Gauge", "Histogram", "exposition"]


def exposition() -> bytes:
    """Every metric in Prometheus' text format."""
    return generate_latest(REGISTRY)
