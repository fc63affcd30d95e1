"""The modules of a base without its weights, and which tensor of its file each of theirs is."""

import re
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import nn

from negmerge.checkpoints.states import StoredState


@lru_cache(maxsize=1)
def architecture(base: StoredState) -> tuple[nn.Module, dict[str, str]] | None:
    """Build a base on `meta` from its config.json, and map its tensors to those of the file.

    Of tied tensors, the one that the file has comes first. The model serves several adapters, so
    who changes it takes a copy. None: transformers is not there, or cannot build the base.
    """
    model = _build(base)
    names = {} if model is None else _names_in_file(model, base)
    return (model, names) if names else None


def _build(base: StoredState) -> nn.Module | None:
    folder, config = base.files[0].parent, getattr(base, "config", None)
    if config is None and not (folder / "config.json").is_file():
        return None
    try:
        import transformers

        if config is None:
            config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        kind = getattr(transformers, (config.architectures or [""])[0], None)
        with torch.device("meta"):
            if kind is None:
                model = transformers.AutoModel.from_config(config, trust_remote_code=False)
            else:
                model = kind(config)
        model.tie_weights()
    except Exception:  # whatever a class makes of a configuration that is not its own
        return None
    return model


def _names_in_file(model: nn.Module, base: StoredState) -> dict[str, str]:
    tensors = model.state_dict(keep_vars=True)
    names: dict[str, str] = {}
    for rename in (str, _renaming(model)):
        for name in base.names:
            target = rename(name)
            if target in tensors and base.shape(name) == tensors[target].shape:
                names.setdefault(target, name)
    free = set(base.names).difference(names.values())
    for target in tensors.keys() - names.keys() if free else ():
        ends = [n for n in free if f".{n}".endswith(f".{target}") or target.endswith(f".{n}")]
        if len(ends) == 1 and base.shape(ends[0]) == tensors[target].shape:
            names[target] = ends[0]
    held = {id(tensors[target]): name for target, name in names.items()}
    tied = {t: held[id(tensor)] for t, tensor in tensors.items() if id(tensor) in held}
    return names | {target: name for target, name in tied.items() if target not in names}


def _renaming(model: nn.Module) -> Callable[[str], str]:
    """Return what transformers calls a tensor of a file in memory."""
    prefix, tensors = model.base_model_prefix, model.state_dict()
    try:  # since version 5
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.core_model_loading import (
            WeightConverter,
            WeightRenaming,
            rename_source_key,
        )
    except ImportError:
        patterns = getattr(model, "_checkpoint_conversion_mapping", None) or {}

        def rename(name: str) -> str:
            for pattern, target in patterns.items():
                name = re.sub(pattern, target, name)
            candidates = (name, f"{prefix}.{name}", name.removeprefix(f"{prefix}."))
            return next((target for target in candidates if target in tensors), name)

        return rename
    mapping = get_model_conversion_mapping(model)
    renamings = [entry for entry in mapping if isinstance(entry, WeightRenaming)]
    converters = [entry for entry in mapping if isinstance(entry, WeightConverter)]
    return lambda name: rename_source_key(name, renamings, converters, prefix, tensors)[0]
