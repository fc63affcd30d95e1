"""Models that timm saves and loads compute what models unlearned in memory do."""

import pools
import pytest
import timm
import torch
from noise import images
from timm.models import load_checkpoint
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


def test_a_training_checkpoint_loads(tmp_path, models):
    base, pool, expected = models
    torch.save(base.state_dict(), tmp_path / "base.pth")
    for number, model in enumerate(pool):
        content = {"arch": "test", "epoch": 1, "state_dict": model.state_dict()}
        torch.save(content, tmp_path / f"pool-{number}.pth.tar")
    pools.run(tmp_path, "base.pth", output="out.safetensors")
    found = pools.copy.deepcopy(base)
    load_checkpoint(found, str(tmp_path / "out.safetensors"))
    pools.compare(outputs, found, expected, base)
