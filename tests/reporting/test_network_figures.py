"""Figures of what networks see and of what merges do to their weights."""

import numpy as np
import pytest
import torch

from negmerge.checkpoints.states import write_state
from negmerge.errors import UserError
from negmerge.reporting.figures.gradcam import read_heatmaps
from negmerge.reporting.style import save

HEATMAPS = {
    "kind": "gradcam", "title": "Maps", "experiments": ["net"], "tasks": [],
    "methods": {"original": "Original", "negmerge": "NegMerge"},
}  # fmt: skip
SIGNS = {
    "kind": "signs", "title": "Signs", "experiments": ["net"], "tasks": [],
    "methods": {"uniform": "Uniform Merge", "negmerge": "ours"},
}  # fmt: skip
RECORD = {
    "experiment": "net", "task": "trial1", "tensor": "layer", "size": 2000, "agreeing": 500,
    "places": [3, 700, 1600],
    "points": {"a": [1.0, -2.0, 0.0], "b": [3.0, 4.0, 5.0]},
    "merges": {"uniform": [2.0, 1.0, 2.5], "negmerge": [2.0, 0.0, 0.0]},
}  # fmt: skip


@pytest.fixture
def heatmaps(tmp_path):
    """The maps of two models on three images, as the rule writes them."""
    state = {
        "images": torch.arange(3 * 3 * 64).view(3, 3, 8, 8).remainder(256).byte(),
        # The last image has no map at all.
        "maps": torch.arange(2 * 3 * 4.0).view(2, 3, 2, 2) * torch.tensor([1, 1, 0]).view(3, 1, 1),
        "probability": torch.tensor([[0.5, 0.25, 1.0], [0.125, 0.0, 0.75]]),
    }
    origin = {"experiment": "net", "task": "trial1", "layer": "layer4"}
    origin |= {"methods": ["original", "negmerge"], "places": [4, 0, 7]}
    write_state(tmp_path / "maps.safetensors", state, origin | {"classes": ["a", "b", "c"]})
    return [tmp_path / "maps.safetensors"]


def test_the_numbers_of_a_figure_are_those_of_all_maps(draw, heatmaps):
    _, data = draw(HEATMAPS, gradcam=heatmaps)
    assert len(data) == 2 * 3 * 2 * 2
    (row,) = data[
        (data["method"] == "negmerge") & (data["image"] == 0) & (data["row"] == 1)
        & (data["column"] == 0)
    ].to_dict("records")  # fmt: skip
    assert row == {
        "experiment": "net", "task": "trial1", "layer": "layer4", "image": 0, "class": "b",
        "method": "negmerge", "label": "NegMerge", "probability": 0.0, "row": 1, "column": 0,
        "value": 18.0,
    }  # fmt: skip


def test_each_image_stands_over_its_maps(draw, heatmaps):
    picture, _ = draw(HEATMAPS, gradcam=heatmaps)
    grid = np.array(picture.axes).reshape(3, 3).T
    assert [axes.get_title() for axes in grid[0]] == ["a", "b", "c"]
    assert [axes.get_ylabel() for axes in grid[:, 0]] == ["image", "Original", "NegMerge"]
    assert [axes.get_xlabel() for axes in grid[2]] == ["12 %", "0 %", "75 %"]
    (heatmaps,) = map(read_heatmaps, heatmaps)
    shown = grid[0, 1].get_images()[0].get_array()
    assert np.array_equal(shown, heatmaps.images[1].transpose(1, 2, 0))


def test_other_files_are_no_maps(tmp_path):
    path = tmp_path / "x.safetensors"
    write_state(path, {"weight": torch.ones(2)}, {})
    with pytest.raises(UserError, match=r"x\.safetensors: no heat maps .*; delete it and run aga"):
        read_heatmaps(path)


def test_the_signs_of_points_and_merges(draw):
    picture, data = draw(SIGNS, signs=[RECORD])
    points = data[data["series"] == "point"]
    assert list(points["vector"]) == ["a"] * 3 + ["b"] * 3
    # A zero has no sign to agree with.
    assert list(points["agree"]) == [True, False, False] * 2
    merged = data[data["vector"] == "negmerge"]
    assert list(merged["value"]) == [2, 0, 0]
    assert set(merged["label"]) == {"ours"}
    (axes,) = picture.axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == ["a", "b", "all signs agree", "Uniform Merge", "ours"]
    texts = [text.get_text() for text in axes.texts]
    minus = "\N{MINUS SIGN}"
    assert [texts[start : start + 3] for start in range(0, 15, 3)] == [
        ["+", minus, "0"], ["+", "+", "+"], ["✓", "✗", "✗"], ["+", "+", "+"], ["+", "0", "0"],
    ]  # fmt: skip
    assert (
        "agree on 25.0 % of its 2,000 coordinates; by chance 50 % = 2^(1 - 2)" in axes.get_title()
    )
    assert [label.get_text() for label in axes.get_xticklabels()] == ["3", "700", "1600"]


@pytest.mark.parametrize("ending", ["png", "pdf"])
@pytest.mark.parametrize("kind", ["gradcam", "signs"])
def test_network_figures_are_the_same_in_every_byte(draw, heatmaps, tmp_path, kind, ending):
    for name in ("one", "two"):
        figure = HEATMAPS if kind == "gradcam" else SIGNS
        files = {"gradcam": heatmaps} if kind == "gradcam" else {"signs": [RECORD]}
        picture, _ = draw(figure, **files)
        save(picture, tmp_path / f"{name}.{ending}")
    one, two = ((tmp_path / f"{name}.{ending}").read_bytes() for name in ("one", "two"))
    assert one == two
    assert len(one) > 5000
