"""Made-up adapters and bases."""

import json

import torch
from safetensors.torch import save_file

from negmerge.adapters.adapter import open_adapter
from negmerge.checkpoints.opening import open_state
from negmerge.merging.blocks import Vectors

PREFIX = "base_model.model."


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def write_adapter_folder(folder, tensors, **configuration):
    """Write an adapter; tensors without PEFT's prefix, LoRA of rank 2 unless said otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {PREFIX + key: tensor.contiguous() for key, tensor in tensors.items()}
    save_file(named, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    found = {"peft_type": "LORA", "r": 2, "lora_alpha": 6} | configuration
    (folder / "adapter_config.json").write_text(json.dumps(found))
    return folder


def write_base_file(path, tensors):
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path)
    return open_state(path)


def pair(module, outputs, inputs, rank=2, seed=0):
    """Return the factors of a linear layer by name, and their product."""
    a, b = random(rank, inputs, seed=seed), random(outputs, rank, seed=seed + 1)
    return {f"{module}.lora_A.weight": a, f"{module}.lora_B.weight": b}, b @ a


def vector(base, adapter, numbers=10**6):
    """Return the whole vector of an adapter, read in blocks of about `numbers`."""
    shapes, dtypes = (
        {n: base.shape(n) for n in base.names},
        dict.fromkeys(base.names, torch.float32),
    )
    pool = Vectors([adapter], shapes, dtypes, numbers, base=base)
    rows: dict[str, list] = {}
    for block in pool.blocks():
        rows.setdefault(block.name, []).append(adapter.rows(block))
    return {name: torch.cat(rows[name]).view(base.shape(name)) for name in rows}


def opened(tmp_path, tensors, factors, **configuration):
    """Write a base and an adapter, and open both."""
    base = write_base_file(tmp_path / "base.safetensors", tensors)
    folder = write_adapter_folder(tmp_path / "adapter", factors, **configuration)
    return base, open_adapter(folder, base)
