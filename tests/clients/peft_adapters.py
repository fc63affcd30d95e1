"""Adapters made and merged by PEFT itself, and the same merge by this library."""

from pathlib import Path

import peft
import torch
from safetensors.torch import save_file

from negmerge.adapters.adapter import open_adapter
from negmerge.checkpoints.opening import open_state
from negmerge.merging.blocks import Vectors

# A number of an adapter of rank 8, PEFT's default, is a sum of 8 products. PEFT may add them in
# another order, and each order is off by up to 8 roundings, half a unit of `distance` each (Higham
# 2002, section 3.1).
OTHER_ORDER = 8


def adapt(model, configuration, folder, dtype=None, seed=1):
    """Put an adapter with made-up factors on a model, save it, and return its folder."""
    adapted = peft.get_peft_model(model, configuration)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter += 0.2 * torch.randn_like(parameter)
    if dtype is not None:
        adapted = adapted.to(dtype)
    adapted.save_pretrained(folder, save_embedding_layers=False)
    return Path(folder)


def merged_by_peft(model, folder):
    """Return the state of a fresh base after PEFT's own merge."""
    return peft.PeftModel.from_pretrained(model, str(folder)).merge_and_unload().state_dict()


def write_base(model, path):
    """Write a model's state as a file, and open it."""
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_file(state, str(path), metadata={"format": "pt"})
    return open_state(path)


def pool_of(base, adapters, numbers=300):
    """Return adapters as a pool that is read in blocks of about `numbers`."""
    shapes = {name: base.shape(name) for name in base.names if base.is_float(name)}
    return Vectors(adapters, shapes, dict.fromkeys(shapes, torch.float32), numbers, base=base)


def moved(base, folder, numbers=500):
    """Return base + vector of an adapter, computed in blocks of about `numbers`."""
    adapter = open_adapter(folder, base)
    parts: dict[str, list] = {}
    for block in pool_of(base, [adapter], numbers).blocks():
        total = block.origin + adapter.rows(block)
        parts.setdefault(block.name, []).append(total.to(base.dtype(block.name)))
    return {name: torch.cat(rows).view(base.shape(name)) for name, rows in parts.items()}


def distance(state, expected):
    """Return the largest difference, in units of the last place of the tensor's largest number."""
    largest = 0.0
    for name, tensor in state.items():
        unit = torch.finfo(tensor.dtype).eps * expected[name].abs().max().clamp_min(1e-30)
        difference = (tensor.double() - expected[name].double()).abs().max()
        largest = max(largest, float(difference / unit))
    return largest
