"""An adapter as a member of a pool: its vector, computed block by block.

PEFT says what the adapter means on the architecture of the base, without weights; see `layers`. A
base that transformers cannot build takes plain LoRA only, by the names of its tensors.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from negmerge.adapters.changes import PREFIX, Change, LowRank, Value
from negmerge.adapters.layers import Loading, NoPlace, read_configuration
from negmerge.checkpoints import hub
from negmerge.checkpoints.opening import open_state
from negmerge.checkpoints.states import StoredState, require_finite
from negmerge.errors import UserError, one_line
from negmerge.merging.blocks import Block

WEIGHTS = (
    "adapter_model.safetensors",
    "adapter_model.bin",
    "adapter_model.safetensors.index.json",
    "adapter_model.bin.index.json",
)
# These first take a part out of the base, so that what is stored is not a change of the base.
CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
QUANTISED = re.compile(r"(bnb|gptq|awq|[48]-?bit|int[48]|fp8|gguf|hqq|aqlm)", re.IGNORECASE)
# Keys that make LoRA another kind, which only PEFT can merge.
VARIANTS = (
    *("use_dora", "use_qalora", "use_bdlora", "alora_invocation_tokens", "arrow_config"),
    *("kasa_config", "monteclora_config", "layer_replication", "target_parameters", "lora_bias"),
)

Changes = dict[str, list[Change]]


class Adapter:
    """The vector of an adapter, a `merging.blocks.Source`."""

    def __init__(self, label: Path, files: list[Path], changes: Changes, notes: list[str]):
        self.label, self.files, self.notes = label, files, notes
        self.names = sorted(changes)
        self._changes = changes

    def rows(self, part: Block, room: Tensor | None = None) -> Tensor:
        """Return the change of a part of a tensor, flattened; see `merging.blocks.Source`."""
        total = None
        for change in self._changes.get(part.name, ()):
            rows = change.rows(part)
            total = rows if total is None else total + rows
        if total is None:
            return torch.zeros(part.stop - part.start, device=part.device)
        # One sum shows almost always that all is well, in a fraction of the time of a look at each.
        if not torch.isfinite(total.sum()):
            require_finite(total, part.name, self.label)
        return total


def is_adapter(place: str | Path) -> bool:
    """Whether a place holds an adapter: its folder, or a file of such a folder."""
    place = Path(place)
    if place.is_dir():
        return any((place / name).exists() for name in (hub.ADAPTER, *WEIGHTS))
    return place.name == hub.ADAPTER or place.name.startswith("adapter_model.")


def open_adapter(
    place: str | Path,
    base: StoredState,
    *,
    wanted: Callable[[str], bool] = lambda name: True,
    vocabulary: str | None = None,
) -> Adapter:
    """Open an adapter, by its folder or a file of it, as a vector of the wanted tensors."""
    folder = Path(place) if Path(place).is_dir() else Path(place).parent
    keys = _read_keys(folder / hub.ADAPTER)
    weights = next((folder / name for name in WEIGHTS if (folder / name).exists()), None)
    if weights is None:
        raise UserError(f"{folder}: no {WEIGHTS[0]} or {WEIGHTS[1]} beside {hub.ADAPTER}")
    file = open_state(weights)
    # Some programs leave out the prefix.
    prefix = "" if any(key.startswith(PREFIX) for key in file.names) else PREFIX
    tensors = {
        prefix + key: file.numbers(key, 0, math.prod(file.shape(key))).view(file.shape(key))
        for key in file.names
    }
    cut, known = vocabulary == "base", architecture(base)
    notes: list[str] = []
    if known is None:
        changes = _by_names(folder, keys, tensors, base, wanted, cut)
    else:
        loading = Loading(file, keys, read_configuration(folder, keys), base, *known, wanted, cut)
        try:
            changes, notes = loading.changes(tensors), loading.notes
        except NoPlace as error:
            try:  # such as experts that a file has one by one, but memory stacked
                changes = _by_names(folder, keys, tensors, base, wanted, cut)
            except UserError:
                raise error from None
    changes = {name: of for name, of in changes.items() if wanted(name) and base.is_float(name)}
    if not changes:
        raise UserError(f"{folder}: the adapter changes nothing of {base.path}")
    named = str(keys.get("base_model_name_or_path") or "")
    if QUANTISED.search(named):
        notes.append(f"{folder}: names the quantised base {named!r}; it is put on the base given")
    return Adapter(folder, [folder / hub.ADAPTER, *file.files], changes, notes)


def _read_keys(path: Path) -> dict[str, Any]:
    """Read `adapter_config.json`; what is not of PEFT, or no change of the base, is an error."""
    try:
        text = path.read_text(encoding="utf-8")
        if text.startswith("version https://git-lfs"):
            raise UserError(f"{path}: a Git LFS pointer, expected JSON; run `git lfs pull`")
        keys = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({one_line(error)})") from None
    if not isinstance(keys, dict) or not isinstance(keys.get("peft_type"), str):
        is_mlx = isinstance(keys, dict) and {"fine_tune_type", "lora_parameters"} & keys.keys()
        kind = "an adapter of MLX" if is_mlx else "not an adapter of PEFT"
        raise UserError(f"{path}: {kind}, expected PEFT's key 'peft_type'")
    start = keys.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(CHANGES_BASE):
        raise UserError(
            f"{path}: init_lora_weights {start!r} took a part out of the base before training, "
            "expected an adapter that was saved with path_initial_model_for_weight_conversion"
        )
    return keys


def _by_names(
    folder: Path,
    keys: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    base: StoredState,
    wanted: Callable[[str], bool],
    cut: bool,
) -> Changes:
    """Return the changes of plain LoRA, and of whole tensors, by the names of the base."""
    variant = next((key for key in VARIANTS if keys.get(key)), None)
    if keys["peft_type"] != "LORA" or variant:
        raise UserError(
            f"{folder / hub.ADAPTER}: {variant or keys['peft_type']}, expected plain LoRA, since "
            f"transformers cannot build {base.path} from a config.json beside it (is it installed? "
            "pip install 'negmerge[hub]')"
        )
    changes: Changes = {}
    for key in tensors:
        module, dot, factor = key.removeprefix(PREFIX).partition(".lora_")
        name = f"{module}.weight" if dot else module
        ends = [n for n in base.names if f".{n}".endswith(f".{name}") or name.endswith(f".{n}")]
        name = name if name in ends or len(ends) != 1 else ends[0]
        if not wanted(name):
            continue
        if not dot and name in ends and tensors[key].shape == base.shape(name):
            changes[name] = [Value(tensors[key])]
            continue
        pair = [tensors.get(f"{PREFIX}{module}.lora_{letter}.weight") for letter in "AB"]
        if factor not in ("A.weight", "B.weight") or None in pair or name not in ends:
            raise UserError(
                f"{folder}: {key!r}, expected pairs of lora_A.weight and lora_B.weight, or whole "
                f"tensors, of {base.path}; --exclude '{re.escape(module)}' leaves it out"
            )
        if factor == "A.weight":
            changes[name] = [_product(folder, keys, module, *pair, base, name, cut)]
    return changes


def _product(
    folder: Path,
    keys: Mapping[str, Any],
    module: str,
    a: Tensor,
    b: Tensor,
    base: StoredState,
    name: str,
    cut: bool,
) -> LowRank:
    """Return scale * B A, or its transpose, as the base stores it."""
    rank, alpha = (
        next((n for end, n in patterns.items() if re.match(rf"(.*\.)?({end})$", module)), default)
        for patterns, default in (
            (keys.get("rank_pattern") or {}, keys.get("r", 8)),
            (keys.get("alpha_pattern") or {}, keys.get("lora_alpha", 8)),
        )
    )
    left, right, shape = b.flatten(1), a.flatten(1), base.shape(name)
    product = (len(left), *a.shape[1:])
    if product[::-1] == shape and (product != shape or keys.get("fan_in_fan_out")):
        left, right, product = right.T, left.T, product[::-1]
    if cut and product[0] > shape[0] and product[1:] == shape[1:]:
        left, product = left[: shape[0]], shape
    if product != shape or not left.shape[1] == len(right) == rank:
        raise UserError(
            f"{folder}: the factors of {module!r} are {list(b.shape)} and {list(a.shape)}, "
            f"expected the rank {rank} and the shape {list(shape)} of {name!r} in {base.path}"
        )
    return LowRank(left, right, alpha / (math.sqrt(rank) if keys.get("use_rslora") else rank))


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
