"""CLIPs that open_clip loads, from folders and files, compute what those unlearned in memory do."""

import json

import open_clip
import pools
import pytest
import torch
from noise import images
from open_clip.model import CLIP
from safetensors.torch import save_file

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 64, "layers": 2, "head_width": 32},
    "text_cfg": {"context_length": 8, "vocab_size": 60, "width": 32, "heads": 2, "layers": 2},
}


def outputs(model, seed):
    words = torch.randint(3, 60, (4, 8), generator=torch.Generator().manual_seed(seed))
    seen = model.encode_image(images(seed, 16), normalize=True)
    return 10 * seen @ model.encode_text(words, normalize=True).T


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    base = CLIP(**CONFIG).eval()
    pool = pools.fine_tuned(base, pools.loss_of(outputs))
    named = {"base": base, **{f"pool-{number}": model for number, model in enumerate(pool)}}
    return named, pools.forget(base, pool)


@pytest.mark.parametrize("file", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
def test_a_folder_loads(tmp_path, models, file):
    named, expected = models
    for name, model in named.items():
        folder = tmp_path / name
        folder.mkdir()
        config = {"model_cfg": CONFIG, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
        (folder / "open_clip_config.json").write_text(json.dumps(config))
        state = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
        (save_file if file.endswith("safetensors") else torch.save)(state, folder / file)
    pools.run(tmp_path, "base")
    found = open_clip.create_model(f"local-dir:{tmp_path / 'out'}").eval()
    pools.compare(outputs, found, expected, named["base"])
