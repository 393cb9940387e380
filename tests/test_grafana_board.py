"""The board for Grafana that ships asks for metrics and labels that there are."""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BOARD = ROOT / "packaging" / "grafana" / "qvdnode-farm.json"
ROW = re.compile(r"\| `(qvdnode_\w+)` \| (\w+) \| ([^|]*) \|")
NAME = re.compile(r"qvdnode_\w+")
OF_SCRAPE = {"instance", "le"}
"""Labels that Prometheus adds, and those of a histogram's parts."""


def known() -> dict[str, tuple[str, set[str]]]:
    """Every metric with its kind and labels, as the page of metrics lists them."""
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    return {
        name: (kind, set(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in ROW.findall(text)
    }


def targets() -> list[str]:
    board: Any = json.loads(BOARD.read_text(encoding="utf-8"))
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_every_panel_asks_for_what_there_is() -> None:
    metrics = known()
    assert len(metrics) > 50
    assert len(targets()) > 15
    for expression in targets():
        for name in NAME.findall(expression):
            plain = re.sub(r"_(bucket|sum|count)$", "", name)
            assert plain in metrics, f"{name} of {expression}"
            kind, labels = metrics[plain]
            assert (plain != name) == (kind == "histogram"), expression
            assert ("rate(" in expression or "increase(" in expression) == (kind != "gauge")
            for grouped in re.findall(r"by \(([\w, ]+)\)", expression):
                assert set(re.split(r", *", grouped)) <= labels | OF_SCRAPE, expression


def test_panels_have_numbers_and_places_of_their_own() -> None:
    panels: Any = json.loads(BOARD.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(one["gridPos"]["x"], one["gridPos"]["y"]) for one in panels}) == len(panels)
