"""A ResNet of torchvision in files of torch.save: batch statistics stay those of the base."""

import copy

import pools
import torch
from noise import images
from safetensors.torch import load_file
from torchvision.models.resnet import BasicBlock, ResNet


def outputs(model, seed):
    return model(images(seed, 32))


def test_a_resnet_computes_what_memory_does(tmp_path):
    torch.manual_seed(0)
    base = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=5).eval()
    pool = pools.fine_tuned(base, pools.loss_of(outputs))
    torch.save(base.state_dict(), tmp_path / "base.pth")
    for number, model in enumerate(pool):
        torch.save({"state_dict": model.state_dict(), "epoch": 3}, tmp_path / f"pool-{number}.pth")
    pools.run(tmp_path, "base.pth", output="out.safetensors")

    found = copy.deepcopy(base)
    found.load_state_dict(load_file(tmp_path / "out.safetensors"))
    pools.compare(outputs, found, pools.forget(base, pool), base)
    assert torch.equal(found.bn1.running_var, base.bn1.running_var)
    assert not torch.equal(pool[0].bn1.running_var, base.bn1.running_var)
