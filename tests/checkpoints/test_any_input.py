"""The commands take every kind of input, and mix them."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from negmerge.checkpoints.states import read_state
from negmerge.cli import main

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


def run(capsys, *words):
    assert main(list(words)) == 0, capsys.readouterr().err
    return capsys.readouterr()


def test_a_pool_of_every_kind_is_merged_inspected_and_subtracted(inputs, capsys):
    key = ("--key", "state_dict")
    pool = (*inputs, "--base", "base", *key)
    run(capsys, "merge", "uniform", *pool, "-o", "merged")
    mean = sum(inputs.values()) / len(inputs)
    merged = read_state("merged")
    for name, change in CHANGE.items():
        assert torch.equal(merged[name], mean * change)
    printed = run(capsys, "inspect", *pool, "--json")
    assert json.loads(printed.out)["all"]["cosine"] == pytest.approx(1)
    note = "five.ckpt: read from 'state_dict'; dropped 'module.' from the names\n"
    assert note in printed.err
    run(capsys, "negate", "two.pth", "merged", "1", "-o", "less")
    less = read_state("less")
    assert all(torch.equal(less[name], tensor) for name, tensor in model(2 - mean).items())


def test_without_a_key_the_states_are_listed(inputs, capsys):
    assert main(["negate", "base", "five.ckpt", "1", "-o", "out"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: five.ckpt: holds several states")
    assert error.endswith("--key: state_dict (2 tensors), ema (2 tensors)\n")
