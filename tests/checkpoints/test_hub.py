"""Models in the cache of the hub's own library, without a network."""

from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from negmerge.checkpoints.hub import locate, wanted
from negmerge.checkpoints.opening import open_state
from negmerge.errors import UserError

COMMIT = "0fa3456c60f15e5cec5275c5b88851c1dca503a8"


@pytest.fixture
def snapshot(tmp_path, monkeypatch):
    """A snapshot in a cache as the library lays it out: links to blobs."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "cache" / "models--org--name"
    snapshot = repository / "snapshots" / COMMIT
    for folder in (repository / "blobs", repository / "refs", snapshot / "vision"):
        folder.mkdir(parents=True)
    for blob, place in (("12", "model.safetensors"), ("34", "vision/model.safetensors")):
        save_file({"w": torch.ones(2)}, repository / "blobs" / blob)
        (snapshot / place).symlink_to(repository / "blobs" / blob)
    for name in ("main", "v1"):
        (repository / "refs" / name).write_text(COMMIT)
    return snapshot


@pytest.mark.parametrize("at", ["", "@v1", f"@{COMMIT}"])
def test_a_cached_model_is_opened_by_its_id(snapshot, at):
    assert locate(f"org/name{at}") == snapshot
    assert open_state(f"org/name{at}").path == snapshot / "model.safetensors"
    assert open_state(f"org/name/vision{at}").path == snapshot / "vision" / "model.safetensors"
    assert open_state(f"org/name/model.safetensors{at}").files == [snapshot / "model.safetensors"]


def test_offline_the_line_says_what_to_fetch(snapshot, refused):
    line = refused("org/name/vision@v2")
    assert line.startswith("org/name: not whole in the hub's cache")
    assert line.endswith("`hf download org/name --revision v2`")


@pytest.mark.parametrize("cut", ["the weights", "a shard"])
def test_a_cache_with_a_part_is_completed(snapshot, monkeypatch, cut):
    if cut == "a shard":
        index = '{"weight_map": {"w": "model.safetensors", "x": "2.safetensors"}}'
        (snapshot / "model.safetensors.index.json").write_text(index)
    else:
        for path in snapshot.rglob("model.safetensors"):
            path.unlink()
    fetched = []

    def download(repository, revision=None, allow_patterns=None, local_files_only=False):
        if not local_files_only:
            fetched.extend(allow_patterns)
            save_file({"w": torch.ones(2)}, snapshot / "whole.safetensors")
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    names = ["README.md", "pytorch_model.bin", "whole.safetensors"]
    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda *_, **__: names)
    assert locate("org/name") == snapshot
    assert fetched == ["whole.safetensors", "README.md"]


@pytest.mark.parametrize("place", ["pool/m1", "org/name.safetensors", "/org/name", "name"])
def test_what_looks_like_a_path_is_one(snapshot, refused, place):
    Path("pool").mkdir()
    assert refused(place).startswith(f"{place}: no such file or folder; ")


NAMES = [
    "2_Dense/model.safetensors",
    "LICENSE",
    "checkpoint-5/model.safetensors",
    "chat_template.jinja",
    "config.json",
    "flax_model.msgpack",
    "model.safetensors",
    "pytorch_model.bin",
    "tokenizer.model",
    "unet/config.json",
    "unet/diffusion_pytorch_model.bin",
]


def test_weights_and_small_files_are_wanted():
    assert set(wanted(NAMES, "", "org/name")) == {
        "2_Dense/model.safetensors",
        "LICENSE",
        "chat_template.jinja",
        "config.json",
        "model.safetensors",
        "tokenizer.model",
        "unet/config.json",
    }
    inside = ["unet/diffusion_pytorch_model.bin", "unet/config.json"]
    assert wanted(NAMES, "unet", "org/name") == inside
    assert wanted(NAMES, "pytorch_model.bin", "org/name") == ["pytorch_model.bin"]
    # A pipeline is not fetched whole.
    names = ["model_index.json", "unet/a.safetensors", "vae/b.bin", "README.md"]
    with pytest.raises(UserError, match=r"^org/name: no weights at its top; found unet, vae$"):
        wanted(names, "", "org/name")
    with pytest.raises(UserError, match=r"^org/name: .* name one of q4.gguf, q8.gguf$"):
        wanted(["README.md", "q4.gguf", "q8.gguf"], "", "org/name")
