"""Models of the hub's cache, with a stand-in for the hub's library."""

import sys
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file

from negmerge.checkpoints.hub import locate, wanted
from negmerge.checkpoints.opening import open_state
from negmerge.cli import main

REVISION = "0fa3456c60f15e5cec5275c5b88851c1dca503a8"


class Hub(ModuleType):
    """A hub with one repository, and its cache.

    Attributes:
        names: the files of the repository; None if the hub cannot be reached.
        fetched: the patterns of the last download.
    """

    def __init__(self, cache):
        super().__init__("huggingface_hub")
        self.cache = cache
        self.names: list[str] | None = None
        self.fetched: list[str] | None = None

    def snapshot_download(self, repository, revision=None, allow_patterns=None, **options):
        place = self.cache / repository.replace("/", "--") / (revision or "main")
        if options.get("local_files_only"):
            if not place.exists():
                raise FileNotFoundError("not cached")
            return str(place)
        self.fetched = allow_patterns
        for name in allow_patterns:
            write(place / name)
        return str(place)

    def list_repo_files(self, repository, revision=None):
        if self.names is None:
            raise ConnectionError("offline\nno network")
        return self.names


def write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file({"w": torch.full((2,), float(len(str(path))))}, path)
    else:
        path.write_text("{}")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    hub = Hub(tmp_path / "cache")
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return hub


def test_a_cached_model_is_opened_without_the_hub(hub):
    place = hub.cache / "org--name" / REVISION
    write(place / "model.safetensors")
    write(place / "vision" / "model.safetensors")
    assert locate(f"org/name@{REVISION}") == place
    assert open_state(f"org/name@{REVISION}").path == place / "model.safetensors"
    inner = open_state(f"org/name/vision@{REVISION}")
    assert inner.path == place / "vision" / "model.safetensors"
    assert locate(f"org/name/vision/model.safetensors@{REVISION}") == inner.path


def test_what_the_cache_lacks_is_fetched(hub):
    weights = ["model.safetensors", "pytorch_model.bin", "tf_model.h5", "original.safetensors"]
    hub.names = ["README.md", "config.json", *weights]
    assert open_state("org/name@v1.0").names == ["w"]
    assert hub.fetched == ["model.safetensors", "README.md", "config.json"]
    hub.names = None
    assert open_state("org/name@v1.0").names == ["w"]


@pytest.mark.parametrize("cached", ["config.json", "model.safetensors.index.json"])
def test_a_cache_with_a_part_is_completed(hub, cached):
    place = hub.cache / "org--name" / "main"
    write(place / "config.json")
    (place / cached).write_text('{"weight_map": {"w": "1.safetensors", "x": "2.safetensors"}}')
    write(place / "1.safetensors") if "index" in cached else None
    hub.names = ["model.safetensors"]
    open_state("org/name")
    assert hub.fetched == ["model.safetensors"]


def test_offline_the_line_says_what_to_fetch(hub, refused):
    for at, option in (("", ""), (f"@{REVISION}", f" --revision {REVISION}")):
        assert refused(f"org/name{at}") == (
            "org/name: not whole in the hub's cache, and the hub does not give it "
            f"(ConnectionError); fetch it by `hf download org/name{option}`"
        )


def test_a_path_goes_before_a_model_of_its_name(hub, tmp_path):
    write(hub.cache / "org--name" / "main" / "model.safetensors")
    write(tmp_path / "work" / "org" / "name" / "model.safetensors")
    assert str(open_state("org/name").path) == "org/name/model.safetensors"


PATHS = ["pool/m1", "org/name.safetensors", "/org/name", "../a/b", "name"]


@pytest.mark.parametrize("place", PATHS)
def test_what_looks_like_a_path_is_one(hub, tmp_path, refused, place):
    (tmp_path / "work" / "pool").mkdir()
    hub.names = ["model.safetensors"]
    assert refused(place).startswith(f"{place}: no such file or folder; ")
    assert hub.fetched is None


def test_without_its_library_the_line_names_the_extra(tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert refused(f"org/name@{REVISION}") == (
        "org/name: no such file or folder, and models of the hub need the package "
        "huggingface_hub: pip install 'negmerge[hub]'"
    )


NAMES = [
    "1_Pooling/config.json",
    "2_Dense/model.safetensors",
    "LICENSE",
    "checkpoint-5/model.safetensors",
    "chat_template.jinja",
    "config.json",
    "flax_model.msgpack",
    "model.onnx",
    "model.safetensors",
    "pytorch_model.bin",
    "tokenizer.model",
    "unet/config.json",
    "unet/diffusion_pytorch_model.bin",
    "unet/model.png",
]


def test_weights_and_small_files_are_wanted():
    assert set(wanted(NAMES, "", "org/name")) == {
        "1_Pooling/config.json",
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


def test_a_pipeline_is_not_fetched_whole(hub, refused):
    hub.names = ["model_index.json", "unet/a.safetensors", "vae/b.bin", "README.md"]
    line = "org/name: no weights at its top; found unet, vae"
    assert refused("org/name@main") == line
    line = "org/name: no weights at uned; found README.md, model_index.json, unet, vae"
    assert refused("org/name/uned@main") == line
    assert hub.fetched is None


def test_commands_take_models_of_the_hub(hub, capsys):
    for name in ("base", "one"):
        write(hub.cache / f"org--{name}" / "main" / "model.safetensors")
    assert main(["inspect", "org/one@main", "--base", "org/base@main"]) == 0
