"""Files and folders of all kinds as states, and what is refused by its name."""

import json
import re

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from negmerge.checkpoints.opening import Shards, open_state
from negmerge.checkpoints.states import read_state
from negmerge.cli import main

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


def test_a_pool_of_every_kind_is_merged(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    base = {"l.weight": torch.tensor([[1.0, 2], [3, 4]]), "l.bias": torch.ones(2)}
    models = [{name: tensor + factor for name, tensor in base.items()} for factor in range(6)]
    write(tmp_path / "base/model.safetensors.index.json", models[0])
    write(tmp_path / "one.safetensors", models[1])
    write(tmp_path / "two.pth", models[2])
    torch.save(models[3], "three.th", _use_new_zipfile_serialization=False)
    write(tmp_path / "four/pytorch_model.bin.index.json", models[4])
    network = nn.ModuleDict({"l": nn.Linear(2, 2)})
    network.load_state_dict(models[5])
    trained = {"state_dict": nn.DataParallel(network).state_dict(), "ema": models[0], "epoch": 3}
    torch.save(trained, "five.ckpt")
    pool = ("one.safetensors", "two.pth", "three.th", "four", "five.ckpt")
    options = ("--base", "base", "--key", "state_dict", "-o", "merged")
    assert main(["merge", "uniform", *pool, *options]) == 0
    merged = read_state("merged")
    assert all(torch.equal(merged[name], torch.full_like(base[name], 3)) for name in base)
    note = "five.ckpt: read from 'state_dict'; dropped 'module.' from the names\n"
    assert note in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        ("model.safetensors", "pytorch_model.bin"),
        ("model.safetensors", "model.safetensors.index.json"),
        ("model.safetensors.index.json", "epoch3.pt"),
        ("open_clip_model.safetensors", "open_clip_pytorch_model.bin"),
        ("diffusion_pytorch_model.safetensors", "training_args.bin"),
        ("pytorch_model.bin.index.json", "optimizer.pt"),
        ("resnet20-12fca82f.th", "scheduler.pt"),
        ("checkpoint.pth.tar", "rng_state_0.pth"),
    ],
)
def test_of_a_folder_the_weights_that_its_library_reads_are_opened(tmp_path, name, ignored):
    write(tmp_path / ignored, {"other": torch.ones(1)})
    write(tmp_path / name)
    (tmp_path / "README.md").write_text("x")
    assert open_state(tmp_path).names == ["w"]


NO_MODEL = {
    "empty": ((), "holds no weights; found nothing"),
    "texts": ([f"{n}.txt" for n in range(9)], "found 0.txt, .* 7.txt and 1 more"),
    "several": (["a.safetensors", "b.pth"], "several models, name one of a.safetensors, b.pth"),
    "shards": (["model-00001-of-00002.safetensors"], "not the index .* model.safetensors.index"),
    "gguf": (["model-00001-of-00002.gguf"], "holds parts of a GGUF file"),
    "adapter": (["adapter_model.safetensors", "adapter_config.json"], "an adapter"),
    "parts": (["unet/model.safetensors", "vae/model.safetensors"], "name one of unet, vae in it"),
}


@pytest.mark.parametrize(("names", "message"), NO_MODEL.values(), ids=NO_MODEL)
def test_a_folder_without_a_model_says_what_it_has(tmp_path, refused, names, message):
    for name in names:
        write(tmp_path / name)
    assert re.search(f"^{tmp_path}: .*{message}", refused(tmp_path))


def test_a_wrong_path_lists_what_is_near(tmp_path, refused):
    for name in ("base.pt", "pool/m1.pt", "pool/m2.pt", "other.txt"):
        write(tmp_path / name)
    lines = {
        "bse.pt": f"found in {tmp_path}: base.pt",
        "pool/m3.pt": f"found in {tmp_path / 'pool'}: m2.pt, m1.pt",
        "base.pt/m1.pt": f"{tmp_path / 'base.pt'} is a file",
    }
    for place, line in lines.items():
        assert refused(tmp_path / place) == f"{tmp_path / place}: no such file or folder; {line}"


PACKED = torch.ones(4, 4, dtype=torch.uint8)
FLOAT8 = torch.ones(4, 4).to(torch.float8_e4m3fn)
# What lies where weights should be: its bytes or tensors, and what the line says.
FOREIGN = {
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\n",
        "a Git LFS pointer.*`git lfs pull`",
    ),
    "web page": (b"\n<!doctype html><html>Sign in</html>", "a web page .*download the file itself"),
    "Keras": (b"\x89HDF\r\n", "an HDF5 file"),
    "nothing": (b"", "an empty file, expected weights"),
    "GGUF": (b"GGUF\3" + bytes(99), "a GGUF file that transformers does not read"),
    "4 bits": (
        {"l.weight": PACKED, "l.weight.absmax": torch.ones(2)},
        "'l.weight' holds torch.uint8, expected",
    ),
    "GPTQ": (
        {"l.qweight": PACKED.int(), "l.scales": torch.ones(2)},
        "'l.qweight' holds torch.int32, exp",
    ),
    "float8": (
        {"l.weight": FLOAT8, "l.weight_scale": torch.ones(1)},
        "'l.weight' holds torch.float8_e4m3fn",
    ),
    "MLX": ({"l.weight": PACKED.view(torch.uint32)}, "'l.weight' holds U32, expected weights"),
}


@pytest.mark.parametrize(("content", "message"), FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_model_is_named(tmp_path, refused, content, message):
    path = tmp_path / "model.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        save_file(content, path)
    for place in (path, tmp_path):
        assert re.search(f"^{path}: .*{message}", refused(place))


def test_a_configuration_that_tells_of_quantisation_is_refused(tmp_path, refused):
    # A mask is no packed weight.
    write(tmp_path / "model.safetensors", {"m.weight": PACKED.bool(), "w": torch.ones(2)})
    path = tmp_path / "config.json"
    path.write_text('{"quantization_config": {"quant_method": "awq"}}')
    assert refused(tmp_path).startswith(f"{path}: quantization_config says awq, expected")
    path.write_text('{"quantization": {"group_size": 64, "bits": 4}}')
    assert refused(tmp_path).startswith(f"{path}: quantization says mlx, expected")
    path.write_text('{"quantization_config": null}')
    assert open_state(tmp_path).names == ["m.weight", "w"]


INDEX = "model.safetensors.index.json"
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2), "b": torch.tensor(7)}
PLACES = {"b": SECOND, "a.weight": FIRST, "a.bias": SECOND}


@pytest.fixture
def folder(tmp_path):
    """A state in two shards, as the hub lays it out."""
    for file in (FIRST, SECOND):
        save_file({n: TENSORS[n] for n, place in PLACES.items() if place == file}, tmp_path / file)
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": PLACES}))
    return tmp_path


def test_shards_are_one_state(folder):
    for path in (folder, folder / INDEX):
        state = open_state(path)
        assert isinstance(state, Shards)
        assert state.names == sorted(TENSORS)
        assert state.files == [folder / FIRST, folder / SECOND]
        assert not state.is_float("b")
        for name, tensor in state.items():
            assert torch.equal(tensor, TENSORS[name])
            assert (state.shape(name), state.dtype(name)) == (tensor.shape, tensor.dtype)
        assert state.numbers("a.weight", 2, 5).tolist() == [2, 3, 4]
    (folder / INDEX).write_text(json.dumps({"weight_map": {"a.weight": FIRST, "b": SECOND}}))
    assert open_state(folder).names == ["a.weight", "b"]
    note = f"{folder / INDEX}: leaves out what its shards hold: a.bias"
    assert open_state(folder).notes == [note]


WRONG = {
    "moved": (PLACES | {"a.bias": FIRST}, f"{FIRST}: tensor 'a.bias' is missing"),
    "lost": (PLACES | {"b": "lost"}, f"{INDEX}: its shard 'lost' is not beside"),
    "outside": (PLACES | {"b": "../x"}, f"{INDEX}: its shard '../x' is not beside"),
    "a number": (PLACES | {"b": None}, f"{INDEX}: its shard 'None' is not beside"),
    "a list": ([], f"{INDEX}: not an index of shards ("),
}


@pytest.mark.parametrize(("places", "message"), WRONG.values(), ids=WRONG)
def test_an_index_that_is_wrong_is_refused(refused, folder, places, message):
    (folder / INDEX).write_text(json.dumps({"weight_map": places}))
    assert refused(folder).startswith(f"{folder}/{message}")
