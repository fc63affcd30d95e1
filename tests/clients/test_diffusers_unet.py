"""A UNet of diffusers, saved and loaded by itself: its outputs are those computed in memory."""

import pools
import torch
from diffusers import UNet2DModel
from noise import images


def outputs(model, seed):
    return model(images(seed, 16), 3).sample


def test_a_folder_loads(tmp_path):
    torch.manual_seed(0)
    base = UNet2DModel(
        sample_size=16,
        block_out_channels=(32, 32),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
    ).eval()
    pool = pools.fine_tuned(base, pools.loss_of(outputs))
    for name, model in {"base": base, **{f"pool-{n}": m for n, m in enumerate(pool)}}.items():
        model.save_pretrained(tmp_path / name)
    pools.run(tmp_path, "base")
    found = UNet2DModel.from_pretrained(tmp_path / "out").eval()
    pools.compare(outputs, found, pools.forget(base, pool), base)
