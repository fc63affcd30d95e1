"""Image models that diffusers, open_clip, timm and torchvision load compute what memory does."""

import copy
import json

import open_clip
import pools
import pytest
import timm
import torch
from diffusers import UNet2DModel
from open_clip.model import CLIP
from pools import images
from safetensors.torch import load_file, save_file
from timm.models._hub import save_for_hf
from torchvision.models.resnet import BasicBlock, ResNet

CLIP_CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 64, "layers": 2, "head_width": 32},
    "text_cfg": {"context_length": 8, "vocab_size": 60, "width": 32, "heads": 2, "layers": 2},
}


def of_clip(model, seed):
    words = torch.randint(3, 60, (4, 8), generator=torch.Generator().manual_seed(seed))
    seen = model.encode_image(images(seed, 16), normalize=True)
    return 10 * seen @ model.encode_text(words, normalize=True).T


def of_unet(model, seed):
    return model(images(seed, 16), 3).sample


def of_images(model, seed):
    return model(images(seed, 32))


def members(base, outputs):
    """Fine-tune a base; give it and its pool by name, and what it is after unlearning in memory."""
    pool = pools.fine_tuned(base, pools.loss_of(outputs))
    named = {"base": base, **{f"pool-{number}": model for number, model in enumerate(pool)}}
    return named, pools.forget(base, pool)


@pytest.mark.parametrize("file", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
def test_open_clip_loads_a_folder(tmp_path, file):
    torch.manual_seed(0)
    named, expected = members(CLIP(**CLIP_CONFIG).eval(), of_clip)
    for name, model in named.items():
        folder = tmp_path / name
        folder.mkdir()
        config = {"model_cfg": CLIP_CONFIG, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
        (folder / "open_clip_config.json").write_text(json.dumps(config))
        state = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
        (save_file if file.endswith("safetensors") else torch.save)(state, folder / file)
    pools.run(tmp_path, "base")
    found = open_clip.create_model(f"local-dir:{tmp_path / 'out'}").eval()
    pools.compare(of_clip, found, expected, named["base"])


@pytest.mark.parametrize(("name", "kind"), [("test_vit", {"img_size": 32}), ("test_resnet", {})])
def test_timm_loads_a_folder(tmp_path, name, kind):
    torch.manual_seed(0)
    named, expected = members(timm.create_model(name, num_classes=5, **kind).eval(), of_images)
    for place, model in named.items():
        save_for_hf(model, tmp_path / place, model_args=kind, safe_serialization=True)
    pools.run(tmp_path, "base")
    found = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
    pools.compare(of_images, found, expected, named["base"])


def test_diffusers_loads_a_folder(tmp_path):
    torch.manual_seed(0)
    base = UNet2DModel(
        sample_size=16,
        block_out_channels=(32, 32),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
    ).eval()
    named, expected = members(base, of_unet)
    for name, model in named.items():
        model.save_pretrained(tmp_path / name)
    pools.run(tmp_path, "base")
    pools.compare(of_unet, UNet2DModel.from_pretrained(tmp_path / "out").eval(), expected, base)


def test_training_checkpoints_of_torchvision_keep_the_base_s_batch_statistics(tmp_path):
    torch.manual_seed(0)
    base = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=5).eval()
    named, expected = members(base, of_images)
    for name, model in named.items():
        torch.save({"state_dict": model.state_dict(), "epoch": 3}, tmp_path / f"{name}.pth")
    pools.run(tmp_path, "base.pth", output="out.safetensors")
    found = copy.deepcopy(base)
    found.load_state_dict(load_file(tmp_path / "out.safetensors"))
    pools.compare(of_images, found, expected, base)
    assert torch.equal(found.bn1.running_var, base.bn1.running_var)
    assert not torch.equal(named["pool-0"].bn1.running_var, base.bn1.running_var)
