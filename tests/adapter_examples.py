"""Adapters and bases: made by PEFT, and made up."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from negmerge.adapters.reading import open_adapter
from negmerge.checkpoints.opening import open_state
from negmerge.merging.blocks import Vectors

PREFIX = "base_model.model."
# A number of an adapter of rank 8, PEFT's default, is a sum of 8 products. PEFT may add them in
# another order, and each order is off by up to 8 roundings, half a unit of `distance` each (Higham
# 2002, section 3.1).
OTHER_ORDER = 8


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def pair(module, outputs, inputs, rank=2, seed=0):
    """Return the factors of a linear layer by name, and their product."""
    a, b = random(rank, inputs, seed=seed), random(outputs, rank, seed=seed + 1)
    return {f"{module}.lora_A.weight": a, f"{module}.lora_B.weight": b}, b @ a


def write_adapter_folder(folder, tensors, **configuration):
    """Write an adapter; tensors without PEFT's prefix, LoRA of rank 2 unless said otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {PREFIX + key: tensor.contiguous() for key, tensor in tensors.items()}
    save_file(named, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    keys = {"peft_type": "LORA", "r": 2, "lora_alpha": 6, "target_modules": ["q"]} | configuration
    (folder / "adapter_config.json").write_text(json.dumps(keys))
    return folder


def write_base_file(path, tensors):
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path)
    return open_state(path)


def vector(base, adapter, numbers=10**6):
    """Return the whole vector of an adapter, read in blocks of about `numbers`."""
    shapes = {name: base.shape(name) for name in base.names if base.is_float(name)}
    dtypes = dict.fromkeys(shapes, torch.float32)
    rows: dict[str, list] = {}
    for block in Vectors([adapter], shapes, dtypes, numbers, base=base).blocks():
        rows.setdefault(block.name, []).append(adapter.rows(block))
    return {name: torch.cat(rows[name]).view(base.shape(name)) for name in rows}


def adapt(model, configuration, folder, seed=1):
    """Put an adapter of PEFT with made-up numbers on a model, save it, and return its folder."""
    import peft

    torch.manual_seed(seed)
    adapted = peft.get_peft_model(model, configuration)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter += 0.2 * torch.randn_like(parameter)
    adapted.save_pretrained(folder, save_embedding_layers=False)
    return Path(folder)


def merged_by_peft(kind, base, folder, output):
    """Return the state that PEFT's own merge gives, with the names that transformers saves."""
    import peft

    model = peft.PeftModel.from_pretrained(kind.from_pretrained(base), str(folder))
    # Some models have other names in memory than in files.
    model.merge_and_unload().save_pretrained(output)
    return dict(open_state(output).items())


def base_adapter_and_merge(build, configuration, folder):
    """Save a model and an adapter; return the base, the adapter's folder and what PEFT merges."""
    torch.manual_seed(0)
    model = build()
    model.save_pretrained(folder / "base")
    adapter = adapt(model, configuration, folder / "adapter")
    expected = merged_by_peft(type(build()), folder / "base", adapter, folder / "merged")
    return open_state(folder / "base"), adapter, expected


def moved(base, folder, numbers=500):
    """Return base + vector of an adapter, computed in blocks of about `numbers`."""
    changes = vector(base, open_adapter(folder, base), numbers)
    return {name: base[name] + change for name, change in changes.items()}


def distance(state, expected):
    """Return the largest difference, in units of the last place of the tensor's largest number."""
    largest = 0.0
    for name, tensor in state.items():
        unit = torch.finfo(tensor.dtype).eps * expected[name].abs().max().clamp_min(1e-30)
        difference = (tensor.double() - expected[name].double()).abs().max()
        largest = max(largest, float(difference / unit))
    return largest
