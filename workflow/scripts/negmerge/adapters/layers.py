"""What an adapter changes, read from PEFT's layers on a model without weights.

PEFT is given the base's architecture on `meta`, and its names for the adapter's tensors are taken.
For plain LoRA a layer gives the scale and the orientation of its factors; PEFT merges all else, a
module at a time.
"""

import copy
import difflib
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from negmerge.adapters.changes import ADAPTER, PREFIX, Change, LowRank, Merges, Rows, Value
from negmerge.checkpoints import hub
from negmerge.checkpoints.states import StoredState
from negmerge.errors import UserError, one_line

# Keys of other versions of PEFT that change nothing.
WITHOUT_EFFECT = {"merge_weights", "peft_version"}
# Kinds whose change does not depend on the base's weights, but for variants of LoRA.
ADDITIVE = ("LORA", "LOHA", "LOKR")
TOKENS = ".token_adapter.trainable_tokens_delta"


def read_configuration(folder: Path, keys: Mapping[str, Any]) -> Any:
    """Return the configuration as PEFT has it, but for what the names of the tensors tell."""
    path = folder / hub.ADAPTER
    try:
        from peft import PeftConfig
    except ImportError:
        raise UserError(f"{path}: needs PEFT: pip install 'negmerge[hub]'") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = PeftConfig.from_pretrained(str(folder))
    except Exception as error:
        raise UserError(f"{path}: PEFT cannot read it ({one_line(error)})") from error
    if config.is_prompt_learning:
        raise UserError(f"{path}: {config.peft_type.value} learns a prompt and changes no weight")
    for key, value in keys.items():
        if value and not hasattr(config, key) and key not in WITHOUT_EFFECT:
            raise UserError(f"{path}: PEFT does not know the key {key!r}, found {value!r}")
    config.inference_mode = False
    for key in ("modules_to_save", "trainable_token_indices"):
        if hasattr(config, key):
            setattr(config, key, None)
    if hasattr(config, "init_lora_weights"):
        config.init_lora_weights = True
    return config


class NoPlace(UserError):
    """The architecture that the configuration names lacks what the adapter changes."""


@dataclass
class Loading:
    """An adapter's tensors on their way to the tensors of the base that they change."""

    file: StoredState
    keys: Mapping[str, Any]
    config: Any
    base: StoredState
    model: nn.Module
    # The tensor of the base's file for each tensor of the model.
    names: Mapping[str, str]
    wanted: Callable[[str], bool]
    # Leave out the rows of a larger vocabulary.
    cut: bool
    notes: list[str] = field(default_factory=list)

    def changes(self, tensors: Mapping[str, Tensor]) -> dict[str, list[Change]]:
        """Return the changes by tensors of the base; what has no place there is an error."""
        tokens = {key: tensor for key, tensor in tensors.items() if key.endswith(TOKENS)}
        rest = {key: tensor for key, tensor in tensors.items() if key not in tokens}
        loaded, layers = self._load(rest) if rest else ({}, {})
        changes: dict[str, list[Change]] = defaultdict(list)
        merges = Merges(self.file.path.parent, self.config, loaded, self.names, self.base)
        for path, layer in layers.items():
            if self._is_complete(path, layer, loaded):
                for target, change in self._of_layer(path, layer, loaded, merges).items():
                    self._add(changes, target, change)
        for key, tensor in loaded.items():
            if ADAPTER not in key.split("."):
                self._add(changes, _target(key), Value(tensor))
        for key, tensor in tokens.items():
            target = f"{key.removeprefix(PREFIX).removesuffix(TOKENS)}.weight"
            self._add(changes, target, self._rows(target, key, tensor))
        return changes

    def _load(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the tensors by PEFT's names for them, and the layers, by the paths of the model.

        The adapter may have been trained on the model, on its body, or on a model around it.
        """
        body = self.model.base_model_prefix
        inner = getattr(self.model, body, None) if body else None
        attempts = [(self.model, "", "")]
        if isinstance(inner, nn.Module):
            attempts.append((inner, f"{body}.", ""))
        elif body:
            attempts.append((self.model, "", f"{body}."))
        left, trouble = list(tensors), ""
        for model, prefix, surplus in attempts:
            renamed = {
                re.sub(f"^{PREFIX}{surplus}", PREFIX, key): tensor
                for key, tensor in tensors.items()
            }
            try:
                loaded, layers, missed = self._put_on(model, prefix, renamed)
            except UserError:
                raise
            except Exception as error:  # such as that no module is a target
                trouble = trouble or f" ({one_line(error)})"
                continue
            if not missed:
                return (
                    {re.sub(f"^{PREFIX}", PREFIX + prefix, key): t for key, t in loaded.items()},
                    {prefix + path: layer for path, layer in layers.items()},
                )
            left = min(left, missed, key=len)
        path = _target(left[0]).rpartition(".")[0]
        known = sorted({name.rpartition(".")[0] for name in self.names})
        near = difflib.get_close_matches(path, known, cutoff=0.4) or known[:3]
        raise NoPlace(
            f"{self.file.path}: {left[0]!r} has no place in {self.base.path}{trouble}, expected a "
            f"module of it, such as {', '.join(near)}; --exclude '{re.escape(path)}' leaves it out"
        )

    def _put_on(
        self, model: nn.Module, prefix: str, tensors: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Any], list[str]]:
        """Return the tensors and the layers as PEFT names them, and the wanted without a place."""
        from peft import PeftModel, set_peft_model_state_dict
        from peft.tuners.tuners_utils import BaseTunerLayer

        loaded: dict[str, Tensor] = {}
        left: list[str] = []

        def sort(state: Mapping[str, Tensor], **_: object) -> None:
            for key, tensor in state.items():
                # `bias: all` stores biases a second time, under the names of PEFT's wrapper.
                plain = re.sub(r"\.(modules_to_save|original_module)\.(?=[^.]+$)", ".", key)
                if plain != key and plain in state:
                    continue
                if key in shapes and tensor.shape == shapes[key]:
                    loaded[key] = tensor
                elif not self._is_wanted(prefix + _target(key)):
                    continue
                elif key in shapes:
                    loaded[key] = self._cut_to(shapes[key], key, tensor)
                elif key.startswith(PREFIX):
                    left.append(key)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, config = copy.deepcopy(model), copy.deepcopy(self.config)
            tuned = PeftModel(model, config, ADAPTER, low_cpu_mem_usage=True)
            shapes = {key: tensor.shape for key, tensor in tuned.state_dict().items()}
            # PEFT calls this with its own names for the tensors.
            tuned.load_state_dict = sort
            set_peft_model_state_dict(tuned, dict(tensors), ADAPTER)
        layers: dict[str, Any] = {}
        for path, layer in tuned.base_model.model.named_modules():
            parents = [path[: match.start()] for match in re.finditer(r"\.", path)]
            if isinstance(layer, BaseTunerLayer) and not layers.keys() & set(parents):
                layers[path] = layer
        return loaded, layers, left

    def _is_wanted(self, target: str) -> bool:
        return self.wanted(self.names.get(target, target))

    def _cut_to(self, shape: torch.Size, key: str, tensor: Tensor) -> Tensor:
        """Return a tensor without the rows of a larger vocabulary, if these are to be left out."""
        words = getattr(self.model.config.get_text_config(), "vocab_size", None)
        larger = tensor.dim() == len(shape) and all(
            size == expected or size > expected == words
            for size, expected in zip(tensor.shape, shape, strict=True)
        )
        if larger and self.cut:
            return tensor[tuple(slice(size) for size in shape)]
        advice = "; --vocabulary base cuts it to the base's rows" if larger else ""
        raise UserError(
            f"{self.file.path}: {key.replace('.' + ADAPTER, '')!r} has shape "
            f"{list(tensor.shape)}, expected {list(shape)} by {hub.ADAPTER} and {self.base.path}"
            f"{advice}"
        )

    def _add(self, changes: dict[str, list[Change]], target: str, change: Change) -> None:
        if not self._is_wanted(target):
            return
        name = self.names.get(target)
        owner = next((first for first, of in self.names.items() if of == name), None)
        if name is None or (owner != target and isinstance(change, Value)):
            raise NoPlace(
                f"{self.file.path.parent}: changes {target!r}, which {self.base.path} does not "
                f"have of its own; --exclude '{re.escape(target)}' leaves it out"
            )
        if owner != target:
            self.notes.append(
                f"{self.file.path.parent}: changes {target!r}, which is tied to {name!r}: both "
                "change, as PEFT merges it"
            )
        changes[name].append(change)

    def _is_complete(self, path: str, layer: nn.Module, loaded: Mapping[str, Tensor]) -> bool:
        """Whether the file has all factors of a layer; if it is wanted, it must."""
        if self.config.peft_type.value not in ADDITIVE:
            return True  # these share numbers between layers, or compute some
        for name, parameter in layer.named_parameters():
            key = f"{PREFIX}{path}.{name}"
            if ADAPTER in name.split(".") and parameter.requires_grad and key not in loaded:
                if self._is_wanted(f"{path}.weight"):
                    raise UserError(
                        f"{self.file.path}: no tensor {key.replace('.' + ADAPTER, '')!r}, expected "
                        f"by {hub.ADAPTER} and {self.base.path}"
                    )
                return False
        return True

    def _of_layer(
        self, path: str, layer: Any, loaded: Mapping[str, Tensor], merges: Merges
    ) -> Mapping[str, Change]:
        """Return the changes of the tensors of a layer."""
        from peft.tuners.lora import layer as lora

        variants = any(getattr(module, "lora_variant", None) for module in layer.modules())
        kinds = (lora.Linear, lora.Embedding, lora.Conv1d, lora.Conv2d, lora.Conv3d)
        if variants or not isinstance(layer, kinds):
            additive = self.config.peft_type.value in ADDITIVE and not variants
            return merges.add(path, self.model.get_submodule(path), additive)
        if getattr(layer.get_base_layer(), "groups", 1) > 1:
            raise UserError(
                f"{self.file.path.parent}: {path!r} is a convolution in groups, expected one "
                "without, as PEFT merges no other"
            )
        own, scale = f"{PREFIX}{path}.", layer.scaling[ADAPTER]
        if isinstance(layer, lora.Embedding):
            left = loaded[f"{own}lora_embedding_A.{ADAPTER}"].T
            right = loaded[f"{own}lora_embedding_B.{ADAPTER}"].T
        else:
            left = loaded[f"{own}lora_B.{ADAPTER}.weight"].flatten(1)
            right = loaded[f"{own}lora_A.{ADAPTER}.weight"].flatten(1)
            if getattr(layer, "fan_in_fan_out", False):
                left, right = right.T, left.T
        changes = {f"{path}.weight": LowRank(left, right, scale)}
        bias = loaded.get(f"{own}lora_B.{ADAPTER}.bias")
        if bias is not None:
            changes[f"{path}.bias"] = LowRank(bias[:, None], torch.ones(1, 1), scale)
        return changes

    def _rows(self, target: str, key: str, tensor: Tensor) -> Rows:
        """Return the rows of the tokens that were trained."""
        stored = self.keys.get("trainable_token_indices") or []
        if isinstance(stored, dict):
            ends = (of for end, of in stored.items() if f".{target}".endswith(f".{end}.weight"))
            stored = next(ends, [])
        name = self.names.get(target)
        rows, *columns = self.base.shape(name) if name else (max(stored, default=0) + 1,)
        fits = tuple(tensor.shape) == (len(set(stored)), *(columns or tensor.shape[1:]))
        if not fits or not all(0 <= row < rows for row in stored):
            raise UserError(
                f"{self.file.path}: {key!r} has shape {list(tensor.shape)}, expected {columns} for "
                f"each of {len(stored)} trainable_token_indices, which are below {rows}"
            )
        return Rows(tensor, tuple(stored))


def _target(key: str) -> str:
    """Return the tensor of the model that a tensor of an adapter changes, as far as it shows."""
    parts = [part for part in key.removeprefix(PREFIX).split(".") if part != "base_layer"]
    for place, part in enumerate(parts):
        if part == ADAPTER or part.startswith("lora_"):
            module = parts[: place - 1 if part == ADAPTER else place]
            return ".".join([*module, "weight"])
    return ".".join(parts)
