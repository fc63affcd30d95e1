"""Folders in the layouts of the libraries that write them, and paths that are wrong."""

import json
import re

import pytest
import torch
from safetensors.torch import save_file

from negmerge.checkpoints.opening import open_state

STATE = {"w": torch.ones(3)}


def write(path, state=STATE):
    """Write a state in the format that its name tells, or an index of one shard."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(".index.json"):
        shard = path.name.replace(".index.json", "").replace(".", "-00001-of-00001.")
        write(path.with_name(shard), state)
        path.write_text(json.dumps({"weight_map": dict.fromkeys(state, shard)}))
    elif path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)


def stem_and_ending(stem):
    return [f"{stem}.{end}" for end in ("safetensors", "safetensors.index.json")]


@pytest.mark.parametrize(
    "name",
    [
        *stem_and_ending("model"),
        *stem_and_ending("open_clip_model"),
        *stem_and_ending("diffusion_pytorch_model"),
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "resnet20-12fca82f.th",
        "checkpoint.pth.tar",
    ],
)
def test_a_folder_with_one_model_is_opened(tmp_path, name):
    write(tmp_path / name)
    # What stands beside the weights of a training or a model card.
    for beside in ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state_0.pth"):
        write(tmp_path / beside, {"other": torch.ones(1)})
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text("x")
    assert open_state(tmp_path).names == ["w"]


@pytest.mark.parametrize(
    ("read", "ignored"),
    [
        ("model.safetensors", "model.safetensors.index.json"),
        ("model.safetensors", "pytorch_model.bin"),
        ("model.safetensors.index.json", "pytorch_model.bin"),
        ("model.safetensors", "epoch3.pt"),
    ],
)
def test_of_two_forms_the_one_that_the_library_reads_is_opened(tmp_path, read, ignored):
    write(tmp_path / ignored, {"other": torch.ones(1)})
    write(tmp_path / read)
    assert open_state(tmp_path).names == ["w"]


@pytest.mark.parametrize(
    "names",
    [
        ("model.safetensors", "open_clip_model.safetensors"),
        ("a.safetensors", "b.pth"),
    ],
)
def test_a_folder_with_several_models_lists_them(tmp_path, refused, names):
    for name in names:
        write(tmp_path / name)
    assert refused(tmp_path).endswith(f"several models, name one of {', '.join(names)}")


NO_MODEL = {
    "empty": ((), "holds no weights; found nothing"),
    "texts": ([f"{n}.txt" for n in range(9)], "found 0.txt, .* 7.txt and 1 more"),
    "shards": (
        ["model-00001-of-00002.safetensors"],
        "holds model-00001-of-00002.safetensors, .* model.safetensors.index.json",
    ),
    "adapter": (["adapter_model.safetensors", "adapter_config.json"], "an adapter"),
    "parts": (["unet/model.safetensors", "vae/model.safetensors"], "name one of unet, vae in it"),
}


@pytest.mark.parametrize("case", NO_MODEL)
def test_a_folder_without_a_model_says_what_it_has(tmp_path, refused, case):
    names, message = NO_MODEL[case]
    for name in names:
        write(tmp_path / name)
    assert re.search(f"^{tmp_path}: .*{message}", refused(tmp_path))


def test_a_wrong_path_lists_what_is_near(tmp_path, refused, monkeypatch):
    for name in ("base.pt", "pool/m1.pt", "pool/m2.pt", "other.txt"):
        write(tmp_path / name)
    lines = {
        tmp_path / "bse.pt": f"found in {tmp_path}: base.pt",
        tmp_path / "pool" / "m3.pt": f"found in {tmp_path / 'pool'}: m2.pt, m1.pt",
        tmp_path / "base.pt" / "m1.pt": f"{tmp_path / 'base.pt'} is a file",
    }
    for path, line in lines.items():
        assert refused(path) == f"{path}: no such file or folder; {line}"
    monkeypatch.chdir(tmp_path)
    assert refused("bse.pt") == "bse.pt: no such file or folder; found here: base.pt"
