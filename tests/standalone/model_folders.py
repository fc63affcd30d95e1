"""Small folders as transformers saves models, made up, for the tests of `unlearn`."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

ROWS, WIDTH = 12, 5


def draw(seed, dtype=torch.float32):
    """A state like that of a language model: an embedding, a layer, a norm, buffers."""
    generator = torch.Generator().manual_seed(seed)

    def numbers(*shape):
        return torch.randn(shape, generator=generator).to(dtype)

    return {
        "embed_tokens.weight": numbers(ROWS, WIDTH),
        "layers.0.mlp.weight": numbers(7, WIDTH),
        "layers.0.mlp.bias": numbers(7),
        "norm.weight": torch.ones(WIDTH, dtype=dtype),
        "norm.running_var": torch.rand(WIDTH, generator=generator).to(dtype),
        "rotary.inv_freq": torch.arange(3, dtype=torch.float32),
        "steps": torch.tensor(seed),
    }


def tuned(base, seed, scale=0.1):
    """The same after training: buffers and tables change, too, but are not trained."""
    generator = torch.Generator().manual_seed(100 + seed)
    changed = {
        name: (t + scale * torch.randn(t.shape, generator=generator)).to(t.dtype)
        for name, t in base.items()
        if t.is_floating_point() and "inv_freq" not in name
    }
    return base | changed | {"steps": torch.tensor(seed)}


def save(state, folder, shard_of=None, **config):
    """Write a folder with a configuration; in shards if a function gives each tensor's number."""
    folder.mkdir(parents=True)
    metadata = {"format": "pt"}
    if shard_of is None:
        save_file(state, folder / "model.safetensors", metadata)
    else:
        numbers = sorted({shard_of(name) for name in state})
        files = {n: f"model-{n:05d}-of-{len(numbers):05d}.safetensors" for n in numbers}
        for number, file in files.items():
            part = {name: t for name, t in state.items() if shard_of(name) == number}
            save_file(part, folder / file, metadata)
        places = {name: files[shard_of(name)] for name in state}
        index = {"metadata": {"total_size": 0}, "weight_map": places}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"} | config))
    return folder


def save_pool(folder, count=3, of=torch.float32, **options):
    """Write a base and models fine-tuned from it; give their states and their folders.

    `of` is their dtype.
    """
    states = [draw(0, of)]
    states += [tuned(states[0], seed) for seed in range(1, count + 1)]
    names = ["base", *(f"tuned{number}" for number in range(1, count + 1))]
    folders = [
        save(state, folder / name, **options) for name, state in zip(names, states, strict=True)
    ]
    return states, folders


def read(place):
    """Read the weights of a folder, whole or in shards, or of a file."""
    place = Path(place)
    files = [place] if place.is_file() else sorted(place.glob("*.safetensors"))
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def bits(tensor):
    return tensor.dtype, tensor.shape, tensor.contiguous().view(-1).view(torch.uint8).tolist()


def assert_same_bits(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert bits(found[name]) == bits(tensor), name
