"""Models in the cache of huggingface_hub itself, without a network."""

from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from negmerge.checkpoints.hub import locate
from negmerge.checkpoints.opening import open_state
from negmerge.errors import UserError

COMMIT = "0fa3456c60f15e5cec5275c5b88851c1dca503a8"


@pytest.fixture
def snapshot(tmp_path, monkeypatch):
    """A snapshot in a cache as the library lays it out: links to blobs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "cache" / "models--org--name"
    snapshot = repository / "snapshots" / COMMIT
    for folder in (repository / "blobs", repository / "refs", snapshot):
        folder.mkdir(parents=True)
    save_file({"w": torch.ones(2)}, repository / "blobs" / "1234")
    (snapshot / "model.safetensors").symlink_to(Path("..", "..", "blobs", "1234"))
    (snapshot / "config.json").write_text("{}")
    for name in ("main", "v1"):
        (repository / "refs" / name).write_text(COMMIT)
    return snapshot


@pytest.mark.parametrize("at", ["", "@main", "@v1", f"@{COMMIT}"])
def test_a_cached_model_is_opened_by_its_id(snapshot, at):
    assert locate(f"org/name{at}") == snapshot
    assert open_state(f"org/name{at}").names == ["w"]
    assert open_state(f"org/name/model.safetensors{at}").files == [snapshot / "model.safetensors"]


@pytest.mark.parametrize("place", ["org/name@v2", "org/other@v2", "org/name/vision@v2"])
def test_a_model_that_is_not_cached_is_named(snapshot, place):
    with pytest.raises(UserError) as caught:
        open_state(place)
    name = "org/other" if "other" in place else "org/name"
    assert str(caught.value).startswith(f"{name}: not whole in the hub's cache, and the hub does ")
    assert str(caught.value).endswith(f"; fetch it by `hf download {name} --revision v2`")
