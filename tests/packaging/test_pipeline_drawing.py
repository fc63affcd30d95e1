"""docs/pipeline.svg shows what NegMerge makes of the vectors that it draws."""

from xml.etree import ElementTree

import pytest
import torch
from workflow_text import ROOT

from negmerge.merging import merge

DRAWING = ElementTree.parse(ROOT / "docs" / "pipeline.svg")


def row(group) -> tuple[list[float], list[float]]:
    """Return the numbers of a row, and what is written into its boxes."""
    (numbers,) = (group.get(name) for name in ("data-vector", "data-merged") if group.get(name))
    written = [text.text.replace("\N{MINUS SIGN}", "-") for text in group.findall("{*}text")]
    return [float(word) for word in numbers.split()], [float(word) for word in written]


def rows(name: str) -> list[list[float]]:
    """Return the rows of that name, and check that they are written as they are."""
    found = [row(group) for group in DRAWING.findall(".//{*}g") if group.get(name)]
    assert all(numbers == written for numbers, written in found)
    return [numbers for numbers, _ in found]


def test_the_drawn_merge_is_that_of_the_drawn_vectors():
    vectors, (merged,) = rows("data-vector"), rows("data-merged")
    assert len(vectors) == 3
    found = merge("negmerge", [{"w": torch.tensor(vector)} for vector in vectors])["w"]
    assert found.tolist() == pytest.approx(merged, abs=0.05)
    assert 0 in merged
