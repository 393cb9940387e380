"""The metrics registry: each metric is declared at the top of the file that moves it.

Names start with `qvdnode_`; docs/metrics.md lists them all.
"""

from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
"""Content type of `/metrics`."""

__all__ = ["CONTENT_TYPE", "Counter", "Gauge", "Histogram", "buckets", "count", "exposition"]


def exposition() -> bytes:
    """Every metric in Prometheus' text format."""
    return generate_latest(REGISTRY)


def count(metric: Counter | Histogram) -> int:
    """How often a counter was moved or a histogram observed, over all its labels."""
    ends = ("_total", "_count")
    samples = (sample for family in metric.collect() for sample in family.samples)
    return int(sum(sample.value for sample in samples if sample.name.endswith(ends)))


def buckets(histogram: Histogram) -> tuple[tuple[float, float], ...]:
    """The upper bounds of a histogram without labels, ascending, each with the values up to it."""
    samples = (sample for family in histogram.collect() for sample in family.samples)
    found = [
        (float(sample.labels["le"]), sample.value)
        for sample in samples
        if sample.name.endswith("_bucket")
    ]
    return tuple(sorted(found))
