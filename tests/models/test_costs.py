"""The costs that rows of models.yaml give are what torch counts."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from negmerge.models.classifiers import build_classifier
from negmerge.models.clip import build_clip, split_state


def gflop(network, inputs):
    """Count two operations for each multiplication with addition, of a network on no device."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(inputs)
    return counter.get_total_flops() / 1e9


def megabytes(state):
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values()) / 1e6


@pytest.mark.parametrize("name", ["mini-clip", "ViT-B-32"])
def test_of_clip(catalogue, name):
    row = catalogue.models[name]
    with torch.device("meta"):
        clip = build_clip(row.model_dump()).eval()
        image, text = split_state(clip)
        images = torch.zeros(1, 3, row.size, row.size)
        prompts = torch.zeros(1, clip.context_length, dtype=torch.long)
        found = {
            "gflop": gflop(clip.visual, images),
            "megabytes": megabytes(image),
            "text_gflop": gflop(clip.encode_text, prompts),
            "text_megabytes": megabytes(text),
        }
    assert row.cost.model_dump() == pytest.approx(found, rel=0.01)


@pytest.mark.parametrize(("name", "classes"), [("mini-resnet", 10), ("ResNet-18", 10)])
def test_of_a_classifier(catalogue, name, classes):
    row = catalogue.models[name]
    with torch.device("meta"):
        network = build_classifier(row.model_dump(), classes).eval()
        found = gflop(network, torch.zeros(1, 3, row.size, row.size))
    assert row.cost.gflop == pytest.approx(found, rel=0.01)
    assert row.cost.megabytes == pytest.approx(megabytes(network.state_dict()), rel=0.01)


def test_every_model_has_one_which_decides_no_result(catalogue):
    for name, row in catalogue.models.items():
        assert row.cost is not None, name
        assert "cost" not in row.model_dump()
