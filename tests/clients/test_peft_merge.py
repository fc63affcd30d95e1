"""One adapter at coefficient 1 is what PEFT's own merge gives."""

import pytest
import torch
from peft import LoraConfig
from peft_adapters import OTHER_ORDER, adapt, distance, merged_by_peft, moved, write_base
from torch import nn


class Small(nn.Module):
    """One layer of each kind that PEFT changes, as modules in numbered layers."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.wide = nn.Linear(6, 10)
        self.square = nn.Linear(6, 6)
        self.bare = nn.Linear(10, 6, bias=False)
        self.conv = nn.Conv2d(4, 6, 3)
        self.point = nn.Conv2d(4, 6, 1)
        self.conv1 = nn.Conv1d(4, 6, 3)
        self.conv3 = nn.Conv3d(2, 4, (1, 2, 3))
        self.norm = nn.LayerNorm(6)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return x


CASES = {
    "linear": {"target_modules": ["wide", "bare"], "lora_alpha": 12},
    "rslora": {"target_modules": ["wide"], "use_rslora": True, "r": 3},
    "patterns": {
        "target_modules": ["wide", "square", "bare", "attention"],
        "rank_pattern": {"wide": 2, "att.*": 6, "^sq": 1},
        "alpha_pattern": {"bare": 5, "attention": 9},
    },
    "fan in fan out of linear": {"target_modules": ["square", "wide"], "fan_in_fan_out": True},
    "embedding": {"target_modules": ["embedding", "wide"]},
    "convolution": {"target_modules": ["conv", "point"], "r": 3},
    "convolution in one and three": {"target_modules": ["conv1", "conv3"], "r": 2},
    "attention": {"target_modules": ["attention"]},
    "attention, all biases": {"target_modules": ["attention", "wide"], "bias": "all"},
    "biases of changed layers": {"target_modules": ["wide", "bare", "conv"], "bias": "lora_only"},
    "whole modules": {"target_modules": ["wide"], "modules_to_save": ["head", "norm"]},
    "parameters": {"target_modules": ["bare"], "target_parameters": ["wide.weight"]},
    "tokens": {"target_modules": ["wide"], "trainable_token_indices": {"embedding": [3, 0, 10]}},
    "mixed": {
        "target_modules": ["wide", "square", "embedding", "conv", "attention"],
        "r": 4,
        "use_rslora": True,
        "bias": "all",
        "modules_to_save": ["head"],
        "rank_pattern": {"conv": 2},
    },
}


def small():
    torch.manual_seed(0)
    return Small()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("numbers", [7, 10**6])
def test_layers(case, numbers, tmp_path):
    folder = adapt(small(), LoraConfig(**CASES[case]), tmp_path / "adapter")
    base = write_base(small(), tmp_path / "base.safetensors")
    expected = merged_by_peft(small(), folder)
    assert any(not torch.equal(expected[name], base[name]) for name in base.names)
    found = moved(base, folder, numbers)
    assert distance(found, expected) <= OTHER_ORDER
    if numbers > 7:
        # PEFT adds the change of an attention's output in two steps, and computes that of a
        # convolution as a convolution; small blocks are multiplied in another order.
        assert all(
            torch.equal(found[name], expected[name])
            for name in found
            if name != "attention.out_proj.weight" and not name.startswith("conv")
        )


class Experts(nn.Module):
    def __init__(self, inputs, hidden, turned):
        super().__init__()
        shape = (3, inputs, 2 * hidden) if turned else (3, 2 * hidden, inputs)
        self.gate_up_proj = nn.Parameter(torch.randn(shape))
        self.gate_up_proj_bias = nn.Parameter(torch.randn(3, 2 * hidden))
        shape = (3, hidden, inputs) if turned else (3, inputs, hidden)
        self.down_proj = nn.Parameter(torch.randn(shape))
        self.is_transposed = turned

    def forward(self, x):
        return x


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("inputs", "hidden"), [(6, 5), (4, 4)])
@pytest.mark.parametrize("numbers", [5, 10**6])
def test_experts(turned, inputs, hidden, numbers, tmp_path):
    def model():
        torch.manual_seed(0)
        return nn.ModuleDict({"mlp": nn.ModuleDict({"experts": Experts(inputs, hidden, turned)})})

    configuration = LoraConfig(
        r=2,
        target_modules=[],
        target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
        rank_pattern={"experts.down_proj": 3},
    )
    folder = adapt(model(), configuration, tmp_path / "adapter")
    base = write_base(model(), tmp_path / "base.safetensors")
    assert distance(moved(base, folder, numbers), merged_by_peft(model(), folder)) <= OTHER_ORDER
