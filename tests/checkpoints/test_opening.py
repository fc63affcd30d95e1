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
BASE = {"l.weight": torch.tensor([[1.0, 2], [3, 4]]), "l.bias": torch.ones(2)}
CHANGE = {"l.weight": torch.tensor([[1.0, -1], [2, 0]]), "l.bias": torch.ones(2)}


def model(factor):
    """The base, changed by a multiple of one vector."""
    return {name: BASE[name] + factor * CHANGE[name] for name in BASE}


def in_shards(folder, state, stem, write):
    folder.mkdir()
    places = {name: f"{stem}-{number}-of-2" for number, name in enumerate(state)}
    for name, file in places.items():
        write({name: state[name]}, folder / file)
    (folder / f"{stem}.index.json").write_text(json.dumps({"weight_map": places}))


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """A base and a pool, each in another format; name -> how much of the vector is in it."""
    monkeypatch.chdir(tmp_path)
    state = model(0)
    in_shards(tmp_path / "base", state, "model.safetensors", save_file)
    save_file(model(1), "one.safetensors")
    torch.save(model(2), "two.pth")
    torch.save(model(3), "three.th", _use_new_zipfile_serialization=False)
    in_shards(tmp_path / "four", model(4), "pytorch_model.bin", torch.save)
    network = nn.ModuleDict({"l": nn.Linear(2, 2)})
    network.load_state_dict(model(5))
    trained = {"state_dict": nn.DataParallel(network).state_dict(), "ema": model(6), "epoch": 3}
    torch.save(trained, "five.ckpt")
    return {"one.safetensors": 1, "two.pth": 2, "three.th": 3, "four": 4, "five.ckpt": 5}


def test_a_pool_of_every_kind_is_merged_inspected_and_subtracted(inputs, capsys):
    def run(*words):
        assert main(list(words)) == 0, capsys.readouterr().err
        return capsys.readouterr()

    pool = (*inputs, "--base", "base", "--key", "state_dict")
    run("merge", "uniform", *pool, "-o", "merged")
    mean = sum(inputs.values()) / len(inputs)
    merged = read_state("merged")
    for name, change in CHANGE.items():
        assert torch.equal(merged[name], mean * change)
    printed = run("inspect", *pool, "--json")
    assert json.loads(printed.out)["all"]["cosine"] == pytest.approx(1)
    note = "five.ckpt: read from 'state_dict'; dropped 'module.' from the names\n"
    assert note in printed.err
    run("negate", "two.pth", "merged", "1", "-o", "less")
    less = read_state("less")
    assert all(torch.equal(less[name], tensor) for name, tensor in model(2 - mean).items())


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
    "4 bits": ({"l.weight": PACKED, "l.weight.absmax": torch.ones(2)}, "'l.weight.absmax' .*bitsa"),
    "GPTQ": ({"l.qweight": PACKED.int(), "l.scales": torch.ones(2)}, "'l.qweight' .* AWQ or GPTQ"),
    "float8": ({"l.weight": FLOAT8, "l.weight_scale": torch.ones(1)}, "'l.weight_scale' .* float8"),
    "MLX": ({"l.weight": PACKED, "l.scales": torch.ones(2)}, "'l.scales' .* MLX"),
    "no scales": ({"l.weight": PACKED}, "'l.weight' holds torch.uint8, expected weights"),
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


def test_masks_and_scales_of_plain_weights_are_weights(tmp_path):
    state = {"a.scales": torch.ones(2), "a.weight": torch.ones(2), "m.weight": PACKED.bool()}
    save_file(state | {"scales": torch.ones(2)}, tmp_path / "a")
    assert open_state(tmp_path / "a").names == ["a.scales", "a.weight", "m.weight", "scales"]


def test_a_configuration_that_tells_of_quantisation_is_refused(tmp_path, refused):
    write(tmp_path / "model.safetensors")
    path = tmp_path / "config.json"
    path.write_text('{"quantization_config": {"quant_method": "awq"}}')
    assert refused(tmp_path).startswith(f"{path}: quantization_config says awq, expected")
    path.write_text('{"quantization": {"group_size": 64, "bits": 4}}')
    assert refused(tmp_path).startswith(f"{path}: quantization says mlx, expected")
    path.write_text('{"quantization_config": null}')
    assert open_state(tmp_path).names == ["w"]


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
