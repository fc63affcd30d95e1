"""Image models that diffusers, open_clip and timm load compute what memory does."""

import json

import open_clip
import pools
import pytest
import timm
import torch
from diffusers import UNet2DModel
from open_clip.model import CLIP
from pools import images
from safetensors.torch import save_file
from timm.models._hub import save_for_hf

CLIP_CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 64, "layers": 2, "head_width": 32},
    "text_cfg": {"context_length": 8, "vocab_size": 60, "width": 32, "heads": 2, "layers": 2},
}
UNET_CONFIG = {
    "sample_size": 16,
    "block_out_channels": (32, 32),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "layers_per_block": 1,
}


def of_clip(model, seed):
    seen = model.encode_image(images(seed, 16), normalize=True)
    return 10 * seen @ model.encode_text(pools.words(seed), normalize=True).T


def of_unet(model, seed):
    return model(images(seed, 16), 3).sample


def of_images(model, seed):
    return model(images(seed, 32))


def check(folder, base, outputs, write, load):
    """Check a program that writes and loads folders."""
    pool = pools.fine_tuned(base.eval(), outputs)
    pools.save(base, pool, write, folder)
    pools.run(folder)
    pools.compare(outputs, load(folder / "out"), pools.forget(base, pool), base)


@pytest.mark.parametrize("file", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
def test_open_clip_loads_a_folder(tmp_path, file):
    def write(model, folder):
        folder.mkdir()
        config = {"model_cfg": CLIP_CONFIG, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
        (folder / "open_clip_config.json").write_text(json.dumps(config))
        state = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
        (save_file if file.endswith("safetensors") else torch.save)(state, folder / file)

    torch.manual_seed(0)
    base = CLIP(**CLIP_CONFIG)
    check(tmp_path, base, of_clip, write, lambda out: open_clip.create_model(f"local-dir:{out}"))


@pytest.mark.parametrize(("name", "kind"), [("test_vit", {"img_size": 32}), ("test_resnet", {})])
def test_timm_loads_a_folder(tmp_path, name, kind):
    def write(model, folder):
        save_for_hf(model, folder, model_args=kind, safe_serialization=True)

    def load(folder):
        return timm.create_model(f"local-dir:{folder}", pretrained=True)

    torch.manual_seed(0)
    check(tmp_path, timm.create_model(name, num_classes=5, **kind), of_images, write, load)


def test_diffusers_loads_a_folder(tmp_path):
    torch.manual_seed(0)
    base = UNet2DModel(**UNET_CONFIG)
    check(tmp_path, base, of_unet, UNet2DModel.save_pretrained, UNet2DModel.from_pretrained)
