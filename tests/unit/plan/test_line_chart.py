"""Line charts."""

from xml.etree import ElementTree

import pytest

from qvdnode.plan.line_chart import Line, svg

SVG = "{http://www.w3.org/2000/svg}"


def test_each_line_is_drawn_from_zero_and_named() -> None:
    chart = ElementTree.fromstring(svg({"a & b": [(0, 0), (10, 4)], "c": [(5, 2)]}, ("x", "y")))
    lines = [line.attrib["points"] for line in chart.iter(f"{SVG}polyline")]
    assert lines == ["70.0,430.0 830.0,70.0", "450.0,250.0"]
    texts = {text.text for text in chart.iter(f"{SVG}text")}
    assert {"a & b", "c", "x", "y", "10", "4"} <= texts


@pytest.mark.parametrize("line", [[], [(0.0, 0.0)]])
def test_nothing_to_draw_is_an_empty_chart(line: Line) -> None:
    assert ElementTree.fromstring(svg({"a": line}, ("x", "y"))).tag == f"{SVG}svg"
