"""Models that timm saves and loads compute what models unlearned in memory do."""

import pools
import pytest
import timm
import torch
from noise import images
from timm.models._hub import save_for_hf


def outputs(model, seed):
    return model(images(seed, 32))


@pytest.fixture(params=["test_vit", "test_resnet"])
def models(request):
    torch.manual_seed(0)
    kind = {"img_size": 32} if request.param == "test_vit" else {}
    base = timm.create_model(request.param, num_classes=5, **kind).eval()
    pool = pools.fine_tuned(base, pools.loss_of(outputs))
    return base, pool, pools.forget(base, pool)


def test_a_folder_loads(tmp_path, models):
    base, pool, expected = models
    for name, model in {"base": base, **{f"pool-{n}": m for n, m in enumerate(pool)}}.items():
        arguments = {"img_size": 32} if hasattr(model, "patch_embed") else {}
        save_for_hf(model, tmp_path / name, model_args=arguments, safe_serialization=True)
    pools.run(tmp_path, "base")
    found = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
    pools.compare(outputs, found, expected, base)
