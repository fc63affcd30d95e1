"""The costs that rows of models.yaml give are what torch counts.

The device `meta`, where tensors have shapes but no numbers, stands in for a GPU and its memory.
"""

import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from negmerge.models.classifiers import build_classifier
from negmerge.models.clip import ImageEncoder, build_clip, image_tower, split_state


class Peak(TorchDispatchMode):
    """Counts the bytes of the tensors that are there at a time, beside a network's own."""

    def __init__(self, network):
        super().__init__()
        self.there = {
            tensor.untyped_storage()._cdata: 0 for tensor in network.state_dict().values()
        }
        self.now = self.most = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        results = operation(*args, **(kwargs or {}))
        for tensor in filter(torch.is_tensor, tree_leaves(results)):
            storage = tensor.untyped_storage()
            if storage._cdata not in self.there:
                self.there[storage._cdata] = storage.nbytes()
                self.now += storage.nbytes()
                weakref.finalize(storage, self.leave, storage._cdata)
        self.most = max(self.most, self.now)
        return results

    def leave(self, key):
        self.now -= self.there.pop(key)


def memory(network, size):
    """What an image more takes, in training and without gradients, in megabytes."""
    result = {"train_megabytes": [], "pass_megabytes": []}
    for count in (64, 128):
        images = torch.zeros(count, 3, size, size, device="meta")
        with Peak(network.train()) as peak:
            network(images).sum().backward()
        result["train_megabytes"].append(peak.most)
        network.zero_grad()
        with torch.no_grad(), Peak(network.eval()) as peak:
            network(images)
        result["pass_megabytes"].append(peak.most)
    return {name: (more - less) / 64e6 for name, (less, more) in result.items()}


def gflop(network, inputs):
    """Count two operations for each multiplication with addition, of a network on no device."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(inputs)
    return counter.get_total_flops() / 1e9


def megabytes(state):
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values()) / 1e6


@pytest.mark.parametrize("name", ["mini-clip", "ViT-B-32", "ViT-L-14"])
def test_of_clip(catalogue, name):
    row = catalogue.models[name]
    with torch.device("meta"):
        clip = build_clip(row.model_dump()).eval()
        image, text = split_state(clip)
        images = torch.zeros(1, 3, row.size, row.size)
        prompts = torch.zeros(1, clip.context_length, dtype=torch.long)
        result = {
            "gflop": gflop(clip.visual, images),
            "megabytes": megabytes(image),
            "text_gflop": gflop(clip.encode_text, prompts),
            "text_megabytes": megabytes(text),
        }
        result |= memory(ImageEncoder(image_tower(row.model_dump())), row.size)
    assert row.cost.model_dump() == pytest.approx(result, rel=0.01)


@pytest.mark.parametrize(("name", "classes"), [("mini-resnet", 10), ("ResNet-18", 10)])
def test_of_a_classifier(catalogue, name, classes):
    row = catalogue.models[name]
    with torch.device("meta"):
        network = build_classifier(row.model_dump(), classes).eval()
        result = gflop(network, torch.zeros(1, 3, row.size, row.size))
    assert row.cost.gflop == pytest.approx(result, rel=0.01)
    kept = memory(network, row.size)
    assert row.cost.model_dump(include=set(kept)) == pytest.approx(kept, rel=0.01)
    assert row.cost.megabytes == pytest.approx(megabytes(network.state_dict()), rel=0.01)
